"""From network results and carried tracks to `Segmentation`s."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from samlite_ros.pixels.masks import mask_bounds_xyxy
from samlite_ros.streaming.carry.tracks import Track
from samlite_ros.streaming.tuning import ConfidenceTuning
from samlite_ros.types import (
    NO_STAMP,
    DecodeOptions,
    Frame,
    Instance,
    Mask,
    Prompt,
    PromptResult,
    Query,
    QueryKey,
    QueryMatch,
    QueryResult,
    Segmentation,
    Turn,
    Vocabulary,
)


@dataclass(frozen=True)
class LastSearch:
    """The last search for a prompt.

    Args:
        keyframe_ns: Stamp of the image that was searched [ns].
        presence: Probability that the prompt is in it.
    """

    keyframe_ns: int
    presence: float


def decode_plan(
    queries: Sequence[Query], may_cut: bool = False
) -> tuple[tuple[Prompt, ...], tuple[DecodeOptions, ...]]:
    """Distinct prompts, highest priority first, each with the loosest options that its queries need.

    Args:
        queries: What is asked.
        may_cut: Nobody needs more of a mask than which pixels are inside.
    """
    by_prompt: dict[Prompt, list[Query]] = {}
    for query in sorted(queries, key=lambda q: -q.priority):
        by_prompt.setdefault(query.prompt, []).append(query)
    levels = mask_thresholds(queries) if may_cut else {}
    options = tuple(
        DecodeOptions(
            min(q.score_threshold for q in group),
            max(q.max_instances for q in group),
            cut_level=levels.get(prompt, 0),
        )
        for prompt, group in by_prompt.items()
    )
    return tuple(by_prompt), options


def mask_thresholds(queries: Sequence[Query]) -> dict[Prompt, int]:
    """By prompt the least pixel probability inside a mask, 1 to 255; of several queries the lowest."""
    thresholds: dict[Prompt, int] = {}
    for query in queries:
        level = min(max(round(query.mask_threshold * 255), 1), 255)
        thresholds[query.prompt] = min(thresholds.get(query.prompt, 255), level)
    return thresholds


def answer_keyframe(
    frame: Frame,
    results: Sequence[PromptResult],
    model_id: str,
    vocabulary: Vocabulary,
    turns: Mapping[Prompt, Turn],
) -> Segmentation:
    """The answer for a keyframe itself: what the network found, for the queries that are active now."""
    thresholds = mask_thresholds(vocabulary.queries)
    searches = {r.prompt: LastSearch(frame.stamp_ns, r.presence) for r in results}
    unmatched = [
        _Unmatched(((r.prompt, float(score)),), 0, 1.0, False, frame.stamp_ns, _to_box(box), mask)
        for r in results
        if r.prompt in thresholds
        for score, box, mask in zip(
            r.scores, r.boxes_xyxy, (replace(m, threshold=thresholds[r.prompt]) for m in r.masks), strict=True
        )
    ]
    return _segmentation(frame, model_id, vocabulary, searches, turns, unmatched)


def answer_carried(
    frame: Frame,
    drawn: Sequence[tuple[Track, Mask]],
    model_id: str,
    vocabulary: Vocabulary,
    searches: Mapping[Prompt, LastSearch],
    turns: Mapping[Prompt, Turn],
    max_age_s: float,
    tuning: ConfidenceTuning,
) -> Segmentation:
    """The answer for a frame to which masks were carried.

    Args:
        frame: The frame.
        drawn: Tracks and their masks in it.
        model_id: Names the weights.
        vocabulary: The active queries.
        searches: The last search of each prompt.
        turns: How prompts take turns; empty = they do not.
        max_age_s: Confidence falls towards this age [s].
        tuning: How much.
    """
    unmatched = []
    for track, mask in drawn:
        box = mask_bounds_xyxy(mask)
        if box is None:
            continue
        factor = confidence_factor(track, frame.stamp_ns, max_age_s, tuning)
        matches = tuple((m.prompt, m.score) for m in track.matches)
        stamp = track.keyframe_ns
        unmatched.append(_Unmatched(matches, track.track_id, factor, stamp != frame.stamp_ns, stamp, box, mask))
    return _segmentation(frame, model_id, vocabulary, searches, turns, unmatched)


def confidence_factor(track: Track, stamp_ns: int, max_age_s: float, tuning: ConfidenceTuning) -> float:
    """Factor on a score, 0 to 1: falls with age, with disagreement of the template, and with misses."""
    age = min(max((stamp_ns - track.keyframe_ns) / 1e9 / max_age_s, 0.0), 1.0) if max_age_s > 0 else 1.0
    least = tuning.least_consistency
    consistency = least + (1 - least) * min(track.agreement / tuning.full_agreement, 1.0)
    return (1 - (1 - tuning.least_freshness) * age) * consistency * tuning.miss_factor**track.misses


@dataclass(frozen=True, eq=False)
class _Unmatched:
    """An instance before the queries had their say; `factor` scales the best score to the confidence."""

    scores: tuple[tuple[Prompt, float], ...]
    track_id: int
    factor: float
    propagated: bool
    keyframe_ns: int
    box_xyxy: tuple[float, float, float, float]
    mask: Mask


def _to_box(box: Sequence[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0, y0, x1, y1


def _segmentation(
    frame: Frame,
    model_id: str,
    vocabulary: Vocabulary,
    searches: Mapping[Prompt, LastSearch],
    turns: Mapping[Prompt, Turn],
    unmatched: Sequence[_Unmatched],
) -> Segmentation:
    counts = dict.fromkeys((q.key for q in vocabulary.queries), 0)
    instances = []
    for instance in sorted(unmatched, key=lambda t: -t.factor * t.scores[0][1]):
        matches = _matches(instance, vocabulary.queries, counts)
        if not matches:
            continue
        for match in matches:
            counts[match.query.key] += 1
        confidence = matches[0].score * instance.factor
        instances.append(
            Instance(
                instance.track_id,
                matches,
                confidence,
                instance.propagated,
                instance.keyframe_ns,
                instance.box_xyxy,
                instance.mask,
            )
        )
    instances.sort(key=lambda i: -i.confidence)
    unknown = LastSearch(NO_STAMP, math.nan)
    found = [(q, searches.get(q.prompt, unknown)) for q in vocabulary.queries]
    return Segmentation(
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        camera=frame.camera,
        size=frame.size,
        model_id=model_id,
        vocabulary_epoch=vocabulary.epoch,
        keyframe_stamp_ns=max((s.keyframe_ns for _, s in found), default=NO_STAMP),
        results=tuple(QueryResult(q, s.keyframe_ns, s.presence, counts[q.key], turns.get(q.prompt)) for q, s in found),
        instances=tuple(instances),
    )


def _matches(instance: _Unmatched, queries: Sequence[Query], counts: Mapping[QueryKey, int]) -> tuple[QueryMatch, ...]:
    """The queries that an instance answers and that have not had enough yet, best score first."""
    matches = [
        QueryMatch(query, score)
        for prompt, score in instance.scores
        for query in queries
        if query.prompt == prompt and score >= query.score_threshold and counts[query.key] < query.max_instances
    ]
    return tuple(sorted(matches, key=lambda m: -m.score))


@dataclass(frozen=True, eq=False)
class Published:
    """One answer.

    Args:
        answer: The answer.
        at_ns: When it was published, on the clock of the stamps [ns].
        work_s: Work of the stream for it, as measured [s of this thread's processor time]; 0 for answers that are
            the network's own.
    """

    answer: Segmentation
    at_ns: int
    work_s: float
