"""What a replay amounts to, in numbers that are the same every time: no wall-clock time is in them."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from samlite_ros.queries import QueryStatus
from samlite_ros.types import NO_STAMP, QueryKey
from samlite_ros.virtual.loop import PublishedAnswer
from samlite_ros.virtual.network import KeyframePass
from samlite_ros.virtual.node import PublishedStatus, VirtualNode


@dataclass(frozen=True)
class AnswerRecord:
    """One answer, as the timeline draws it.

    Args:
        camera: Which.
        stamp_ns, at_ns: Of the frame, and when it was published [ns].
        age_ms: Age of its newest knowledge [ms]; NaN = none yet.
        counts: Instances by phrase, of the queries that were searched.
        searched_ns: By the same phrases, stamps of the images in which the network found what was counted [ns].
    """

    camera: str
    stamp_ns: int
    at_ns: int
    age_ms: float
    counts: dict[str, int]
    searched_ns: dict[str, int]


@dataclass
class ReplayRecord:
    """Gathers what a replay publishes.

    Args:
        answers: In the order of publishing.
        statuses: The last known status of every query, by client and id, in the order of asking.
    """

    answers: list[AnswerRecord] = field(default_factory=list)
    statuses: dict[QueryKey, QueryStatus] = field(default_factory=dict)
    model_id: str = ""

    def add(self, item: PublishedAnswer | PublishedStatus) -> None:
        """The next thing that was published."""
        if isinstance(item, PublishedStatus):
            self.statuses.update({status.key: status for status in item.statuses})
            return
        answer = item.answer
        self.model_id = answer.model_id or self.model_id
        known = answer.keyframe_stamp_ns != NO_STAMP
        age_ms = (answer.stamp_ns - answer.keyframe_stamp_ns) / 1e6 if known else math.nan
        searched = [r for r in answer.results if r.keyframe_stamp_ns != NO_STAMP]
        best = {r.query.prompt.display: r for r in sorted(searched, key=lambda r: r.count)}  # of several queries
        counts = {r.query.prompt.display: best[r.query.prompt.display].count for r in searched}
        searched_ns = {phrase: best[phrase].keyframe_stamp_ns for phrase in counts}
        self.answers.append(AnswerRecord(answer.camera, answer.stamp_ns, item.at_ns, age_ms, counts, searched_ns))


def summarise(
    record: ReplayRecord, node: VirtualNode, frames: dict[str, int], faults: tuple[str, ...]
) -> dict[str, Any]:
    """The summary.

    Args:
        record: What was published.
        node: Who published it.
        frames: Frames fed, by camera.
        faults: What was wrong with the bag.

    Returns:
        model_id; cameras: {name: {frames, answers, and the counters of reuse}}; phrases: {phrase: {answers, seen_in,
        most_at_once, first_seen_s, last_seen_s}}, answers and counts with carried masks; queries: how each stands at
        the end. First and last seen, here and there, are stamps of images in which the network found it. age_ms {p50
        p95 max}; faults.
    """
    stamps = [a.stamp_ns for a in record.answers]
    start_ns = min(stamps, default=0)
    return {
        "model_id": record.model_id,
        "frames": sum(frames.values()),
        "answers": len(record.answers),
        "first_stamp_ns": start_ns,
        "last_stamp_ns": max(stamps, default=0),
        "cameras": {
            name: {
                "frames": frames.get(name, 0),
                "answers": sum(a.camera == name for a in record.answers),
                **asdict(pipeline.counters),
            }
            for name, pipeline in node.pipelines.items()
        },
        "passes": _passes(node.passes),
        "phrases": _phrases(record.answers, start_ns),
        "queries": [_query(s) for s in (record.statuses | {s.key: s for s in node.statuses()}).values()],
        "age_ms": _ages([a.age_ms for a in record.answers if not math.isnan(a.age_ms)]),
        "faults": list(faults),
    }


def _passes(passes: list[KeyframePass]) -> dict[str, Any]:
    return {
        "keyframes": sum(not p.late for p in passes),
        "late": sum(p.late for p in passes),
        "phrases_decoded": sum(p.prompts for p in passes),
    }


def _phrases(answers: list[AnswerRecord], start_ns: int) -> dict[str, dict[str, Any]]:
    seen: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for answer in answers:
        for phrase, count in answer.counts.items():
            seen[phrase].append((answer.searched_ns[phrase], count))
    return {phrase: _phrase(pairs, start_ns) for phrase, pairs in seen.items()}


def _phrase(pairs: list[tuple[int, int]], start_ns: int) -> dict[str, Any]:
    times_s = [round((stamp_ns - start_ns) / 1e9, 6) for stamp_ns, count in pairs if count]
    return {
        "answers": len(pairs),
        "seen_in": len(times_s),
        "most_at_once": max(count for _, count in pairs),
        "first_seen_s": min(times_s, default=None),
        "last_seen_s": times_s[-1] if times_s else None,
    }


def _query(status: QueryStatus) -> dict[str, Any]:
    return {
        "client": status.key.client,
        "id": status.key.id,
        "text": status.text,
        "state": status.state.name,
        "outcome": status.outcome.name,
        "reason": status.reason.name,
        "message": status.message,
        "last_seen_ns": status.last_seen_ns,
        "search_rate_hz": round(status.search_rate_hz, 3),
        "wait_passes": status.wait_passes,
        "wait_s": round(status.wait_s, 3),
        "last_place": asdict(status.last_place) if status.last_place else None,
    }


def _ages(ages_ms: list[float]) -> dict[str, float | None]:
    if not ages_ms:
        return {"p50": None, "p95": None, "max": None}
    p50, p95 = np.percentile(ages_ms, [50, 95])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "max": round(max(ages_ms), 3)}
