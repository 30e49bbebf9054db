"""How good the demo's answers are: each answered frame against the truth of that very frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samlite_ros.evaluation.measures.matching import iou_matrix, match_greedily
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.scenes import Scene, matches
from samlite_ros.types import Mask

LEAST_AREA_PX = 200
"""Smaller true objects count neither for nor against."""
LEAST_IOU = 0.5


@dataclass(frozen=True)
class FrameScore:
    """One answered frame.

    Args:
        ious: Overlap of each true object that was found.
        true_count: True objects, small ones left out.
        found_count: Instances found, those on small objects left out.
    """

    ious: tuple[float, ...]
    true_count: int
    found_count: int


@dataclass(frozen=True)
class Summary:
    """All answered frames; NaN where there is nothing to average.

    Args:
        mean_iou: Of the matched instances.
        recall: Share of true objects found.
        precision: Share of found instances that are true.
    """

    mean_iou: float
    recall: float
    precision: float


def score_frame(scene: Scene, phrase: str, masks: Sequence[Mask], scores: Sequence[float]) -> FrameScore:
    """Score one answer.

    Args:
        scene: The truth.
        phrase: What was asked for.
        masks: Masks found, of the scene's size.
        scores: One per mask; the best chooses its object first.
    """
    asked = [thing for thing in scene.objects if matches(phrase, thing)]
    small = np.array([thing.area_px < LEAST_AREA_PX for thing in asked], bool)
    truth = [mask_from_array(scene.mask(thing.track_id)) for thing in asked]
    ious = iou_matrix(masks, truth, np.zeros(len(truth), bool))
    match = match_greedily(np.asarray(scores, np.float64), ious, small, LEAST_IOU)
    hits = [(d, g) for d, g in enumerate(match.truth_of) if g >= 0 and not match.ignored[d]]
    return FrameScore(
        tuple(float(ious[d, g]) for d, g in hits),
        int(np.count_nonzero(~small)),
        len(masks) - int(match.ignored.sum()),
    )


def summarise(frames: Sequence[FrameScore]) -> Summary:
    """Pool all frames."""
    ious = [iou for frame in frames for iou in frame.ious]
    true_count = sum(frame.true_count for frame in frames)
    found_count = sum(frame.found_count for frame in frames)
    nan = float("nan")
    return Summary(
        mean_iou=float(np.mean(ious)) if ious else nan,
        recall=len(ious) / true_count if true_count else nan,
        precision=len(ious) / found_count if found_count else nan,
    )
