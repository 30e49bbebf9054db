"""Late queries: from a query's arrival, at a random moment of a running pass, to its first mask.

On the virtual clock here, with the node's threads and real networks in `streaming_late_live`. The peer is the same
query at the same moment, waiting for the next full pass that it is part of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from samlite_ros.bench.streaming.both_ways import CARRIED, USUAL
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.bench.streaming_clips import pendulum
from samlite_ros.scenes.hard_sequences import DEVELOPMENT, StreamSequence
from samlite_ros.streaming.answer import Published
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.types import Prompt, Vocabulary
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import RunRecord, VirtualRun

QUERIES = 40
SIZE, RENDERED_FRAMES = (240, 320), 60
"""Small images: on the virtual clock a frame's work is charged as a fixed time."""
WORK_S = 0.01
ALLOWED = 1.1
"""The bound allows 10 % more than its parts."""


@dataclass(frozen=True)
class Waits:
    """What became of one query.

    Args:
        decoded_ms: From its arrival until the network had its masks [ms].
        published_ms: Until a frame's answer showed one [ms]; NaN where the network found nothing to show.
        full_pass_ms: Until the next full pass that it was part of had its masks [ms].
    """

    decoded_ms: float
    published_ms: float
    full_pass_ms: float


@dataclass(frozen=True)
class Bound:
    """What a late query has to take: the rest of one block, its embedding, its decoding [ms]."""

    block_ms: float
    text_ms: float
    decode_ms: float

    @property
    def allowed_ms(self) -> float:
        """The parts and 10 % [ms]."""
        return ALLOWED * (self.block_ms + self.text_ms + self.decode_ms)


def late_row(waits: Sequence[Waits], bound: Bound) -> dict[str, Any]:
    """The distribution, and how it stands to its bound and to waiting.

    Returns:
        queries, shown (of how many a mask was published); decoded_ms, published_ms and full_pass_ms: p50, p95, max;
        curves: the sorted values; ratio_of_medians and ratio_of_p95: decoded over full pass; block_ms, text_ms,
        decode_ms, bound_ms; p95_over_bound; within_bound: share of the queries.
    """
    values = {name: np.array([getattr(w, name) for w in waits]) for name in Waits.__dataclass_fields__}
    kept = {name: np.sort(v[~np.isnan(v)]) for name, v in values.items()}
    decoded, full = kept["decoded_ms"], kept["full_pass_ms"]
    return {
        "queries": len(waits),
        "shown": len(kept["published_ms"]),
        **{name: _percentiles(v) for name, v in kept.items()},
        "curves": {name.removesuffix("_ms"): [round(float(x), 3) for x in v] for name, v in kept.items()},
        "ratio_of_medians": float(np.median(decoded) / np.median(full)),
        "ratio_of_p95": float(np.percentile(decoded, 95) / np.percentile(full, 95)),
        "block_ms": bound.block_ms,
        "text_ms": bound.text_ms,
        "decode_ms": bound.decode_ms,
        "bound_ms": bound.allowed_ms,
        "p95_over_bound": float(np.percentile(decoded, 95) / bound.allowed_ms),
        "within_bound": float(np.mean(decoded <= bound.allowed_ms)),
    }


def _percentiles(values: Any) -> Mapping[str, float]:
    if not len(values):
        return {"p50": float("nan"), "p95": float("nan"), "max": float("nan")}
    return {name: float(np.percentile(values, q)) for name, q in (("p50", 50), ("p95", 95), ("max", 100))}


def late_queries(seed: int, profile_ms: float, queries: int = QUERIES) -> dict[str, Any]:
    """On the virtual clock, with the oracle; see `late_row`.

    The things are dealt out to three phrases. One is always asked for; of the others one comes at a random moment and
    goes again, and then it is the other's turn, so that no pass is running that knows the phrase from before.
    """
    scene = StreamSequence(replace(DEVELOPMENT[0], count=8), seed, RENDERED_FRAMES, size=SIZE)
    truth = pendulum(list(scene), round(30 * (1 + queries) * _period_s(profile_ms)))
    changes = _comings_and_goings(seed, truth[0].frame.stamp_ns, profile_ms, queries)
    profile = LatencyProfile.of_total_ms(profile_ms)

    def run(options: StreamingOptions, work_s: float) -> tuple[RunRecord, Sequence[Published]]:
        run = VirtualRun(OracleSegmenter(truth, 3), profile, options, oracle_vocabulary(1), changes, charge_s=work_s)
        published = list(run.run(t.frame for t in truth))
        return run.record, published

    (record, published), (usual, _) = run(CARRIED, WORK_S), run(USUAL, 0.0)
    waits = [
        Waits(
            _decoded_ms(asked_ns, record),
            _published_ms(asked_ns, asked.queries[-1].prompt, published),
            _decoded_ms(asked_ns, usual),
        )
        for asked_ns, asked in changes[::2]
    ]
    bound = Bound(1e3 * profile.encode_s / profile.blocks, 0.0, 1e3 * profile.decode_s)
    return late_row(waits, bound)


def _period_s(profile_ms: float) -> float:
    """From one query's earliest moment to the next one's: both ways have answered by then, the usual in two passes."""
    return 0.4 + 4.1 * profile_ms / 1e3


def _comings_and_goings(seed: int, start_ns: int, profile_ms: float, queries: int) -> list[tuple[int, Vocabulary]]:
    """In turn: a second phrase is asked for at a random moment, and withdrawn."""
    rng = np.random.default_rng([21, seed])
    always, *others = oracle_vocabulary(3).queries
    period_s, pass_s = _period_s(profile_ms), profile_ms / 1e3
    changes = []
    for number in range(queries):
        asked_s = period_s * (number + 0.5) + rng.uniform(0.0, 1.2 * pass_s)
        asked = Vocabulary(2 * number + 2, (always, others[number % 2]))
        changes.append((start_ns + int(1e9 * asked_s), asked))
        withdrawn_s = asked_s + 0.2 + 2.7 * pass_s
        changes.append((start_ns + int(1e9 * withdrawn_s), Vocabulary(2 * number + 3, (always,))))
    return changes


def _decoded_ms(asked_ns: int, record: RunRecord) -> float:
    """Until the first work that was begun after the query's arrival, and so is part of it, was done.

    Between two blocks of a pass that is late decoding; a job of its own, or a full pass, otherwise.
    """
    return (next(p.ends_ns for p in record.passes if p.begins_ns >= asked_ns) - asked_ns) / 1e6


def _published_ms(asked_ns: int, prompt: Prompt, published: Sequence[Published]) -> float:
    """Until the first answer with a mask of the prompt; NaN = never."""
    shown = (e.at_ns for e in published if e.at_ns >= asked_ns and _answers(e, prompt))
    return (next(shown, float("nan")) - asked_ns) / 1e6


def _answers(entry: Published, prompt: Prompt) -> bool:
    return any(m.query.prompt == prompt for i in entry.answer.instances for m in i.matches)
