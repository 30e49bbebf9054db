"""How good the demo's answers are: each answered frame against the truth of that very frame."""

from __future__ import annotations

from collections.abc import Sequence

from samlite_ros.evaluation.measures.cases import FoundInstance, make_case
from samlite_ros.evaluation.measures.detection import DetectionCounts, count_detections
from samlite_ros.evaluation.truth.instances import instances_of_ids
from samlite_ros.scenes import Scene, matches
from samlite_ros.types import Mask

LEAST_AREA_PX = 200
"""Smaller true objects count neither for nor against."""


def score_frame(scene: Scene, phrase: str, masks: Sequence[Mask], scores: Sequence[float]) -> DetectionCounts:
    """Score one answer.

    Args:
        scene: The truth.
        phrase: What was asked for.
        masks: Masks found, of the scene's size.
        scores: One per mask; the best chooses its object first.
    """
    asked = [thing.track_id for thing in scene.objects if matches(phrase, thing)]
    found = [FoundInstance(mask, score) for mask, score in zip(masks, scores, strict=True)]
    truth = instances_of_ids(scene.ids, asked, LEAST_AREA_PX)
    return count_detections([make_case(scene.stamp_ns, "", phrase, found, truth, contours=False)])
