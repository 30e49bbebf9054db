"""Runs sequences under latency profiles, both ways: masks carried to every frame, and the usual way."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import cv2
import numpy as np

from samlite_ros.bench.streaming.oracle import PERFECT, Imperfection, OracleSegmenter, oracle_vocabulary
from samlite_ros.evaluation.measures.matching import assign, iou_matrix
from samlite_ros.evaluation.measures.streaming_accuracy import StreamScore, score_keyframes, score_run
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.streaming.answer import Published
from samlite_ros.streaming.pipeline import StreamingCounters, StreamingOptions
from samlite_ros.streaming.tuning import (
    AlignmentTuning,
    AppearanceTuning,
    ColorTuning,
    CompositingTuning,
    ModelUpdateTuning,
    MotionTuning,
    SearchTuning,
    ShapeTuning,
    TrackingTuning,
    TrackLifeTuning,
    Tuning,
)
from samlite_ros.types import Instance, Vocabulary
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

MAX_MASK_AGE_S = 3.0
"""Age at which masks are withdrawn in the benchmark: a pass of 950 ms may miss a thing once."""
MATCH_IOU = 0.3
USUAL = StreamingOptions()
CARRIED = StreamingOptions(propagate=True, max_mask_age_s=MAX_MASK_AGE_S)


class Network(NamedTuple):
    """What answers, and what it is asked."""

    segmenter: Segmenter
    vocabulary: Vocabulary


@dataclass(frozen=True)
class SequenceOutcome:
    """One sequence under one profile.

    Args:
        sequence: Its name.
        ours, peers: Masks carried to every frame; the newest frame, whole model, published when done.
        frames: Number of frames.
        embeddings: Image embeddings that ours computed.
        counters: Of our pipeline.
        peers_at_keyframes: The usual way's answers against the frames that they are of.
    """

    sequence: str
    ours: StreamScore
    peers: StreamScore
    frames: int
    embeddings: int
    counters: StreamingCounters
    peers_at_keyframes: StreamScore = field(default_factory=StreamScore)


def run_sequence(
    name: str,
    truth: Sequence[TruthFrame],
    profile: LatencyProfile,
    phrase_count: int = 1,
    imperfection: Imperfection = PERFECT,
    options: StreamingOptions = CARRIED,
    charge_s: float | None = None,
    network: Network | None = None,
) -> SequenceOutcome:
    """Both ways over one sequence.

    Args:
        name: For tables.
        truth: The frames and their truth.
        profile: How long the network takes.
        phrase_count: Number of phrases that the things are dealt out to.
        imperfection: How the oracle errs.
        options: Of our pipeline.
        charge_s: Our work per frame that is charged to the clock [s]; None = as measured.
        network: Instead of the oracle.
    """
    oracle = Network(OracleSegmenter(truth, phrase_count, imperfection), oracle_vocabulary(phrase_count))
    segmenter, vocabulary = network or oracle
    frames = [t.frame for t in truth]
    peers = list(VirtualRun(segmenter, profile, USUAL, vocabulary, charge_s=0).run(frames))
    run = VirtualRun(segmenter, profile, options, vocabulary, charge_s=charge_s)
    with undisturbed():
        ours = list(run.run(frames))
    matched = with_matched_ids(peers)
    return SequenceOutcome(
        name,
        score_run(truth, ours),
        score_run(truth, matched),
        len(frames),
        run.record.embeddings,
        run.record.counters,
        score_keyframes(truth, matched),
    )


def carried(refine: bool) -> StreamingOptions:
    """Masks carried to every frame; `refine`: as with the node's `refine_masks`."""
    return replace(CARRIED, tuning=Tuning(shapes=ShapeTuning(enabled=refine)))


@contextmanager
def undisturbed() -> Iterator[None]:
    """OpenCV on one thread, so that its work is in this thread's processor time; and Python looks for garbage only
    among what is made within, as in the node, not among all that the benchmark has kept so far."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        cv2.setNumThreads(before)


def with_matched_ids(published: Sequence[Published]) -> list[Published]:
    """Give keyframe answers track ids by matching each with the one before it, without carrying anything."""
    out: list[Published] = []
    before: list[tuple[int, Instance]] = []
    next_id = 1
    for entry in published:
        instances = list(entry.answer.instances)
        ids = _match([i for _, i in before], instances)
        numbered = []
        for index, instance in enumerate(instances):
            track_id = before[ids[index]][0] if index in ids else next_id
            next_id += index not in ids
            numbered.append((track_id, replace(instance, track_id=track_id)))
        before = numbered
        answer = replace(entry.answer, instances=tuple(i for _, i in numbered))
        out.append(Published(answer, entry.at_ns, entry.work_s))
    return out


def _match(before: Sequence[Instance], now: Sequence[Instance]) -> dict[int, int]:
    """Index before by index now."""
    overlap = iou_matrix([i.mask for i in now], [i.mask for i in before])
    return {int(r): int(c) for r, c in zip(*assign(overlap), strict=True) if overlap[r, c] > MATCH_IOU}


def mean_iou(scores: Sequence[StreamScore], whole_only: bool = False) -> float:
    """Mean over sequences: each counts the same."""
    values = [score.iou(whole_only) for score in scores]
    kept = [v for v in values if not np.isnan(v)]
    return float(np.mean(kept)) if kept else float("nan")


def error_ratio(outcomes: Sequence[SequenceOutcome], whole_only: bool = False) -> float:
    """Our error over the usual way's."""
    ours, peers = (mean_iou([getattr(o, side) for o in outcomes], whole_only) for side in ("ours", "peers"))
    return (1 - ours) / max(1 - peers, 1e-6)


EDGES_BY_COLOR = CompositingTuning().color_factor
NEVER = math.inf
PARTS: dict[str, Tuning] = {
    "nothing": Tuning(),
    "carried shapes": Tuning(shapes=ShapeTuning(enabled=False)),
    "colour model": Tuning(color=ColorTuning(log_odds_limit=0.0)),
    "alignment to the keyframe": Tuning(
        tracking=TrackingTuning(iterations=0, iterations_uncertain=0), model_update=ModelUpdateTuning(iterations=0)
    ),
    "outline rows": Tuning(alignment=AlignmentTuning(outline_amplitude=0.0, outline_cost=0.0)),
    "growth into the unseen": Tuning(compositing=CompositingTuning(unobserved_log_odds=-20.0)),
    "growth of what was revealed": Tuning(compositing=CompositingTuning(disocclusion_log_odds=NEVER)),
    "memory of what is hidden": Tuning(appearance=AppearanceTuning(least_hidden=NEVER)),
    "borders as they were shown": Tuning(compositing=CompositingTuning(edge_factor=EDGES_BY_COLOR)),
    "search of the whole image": Tuning(search=SearchTuning(candidates=0)),
    "dense flow": Tuning(motion=MotionTuning(enabled=False)),
    "other starting poses": Tuning(tracking=TrackingTuning(most_uncertain=0)),
    "rest": Tuning(tracking=TrackingTuning(rest_reach_px=0.0)),
    "keeping what was missed": Tuning(track_life=TrackLifeTuning(most_misses=0)),
}
"""What can be left out, and the tuning that does it."""


def without(part: str) -> StreamingOptions:
    """Masks carried to every frame, with one of PARTS left out."""
    return replace(CARRIED, tuning=PARTS[part])
