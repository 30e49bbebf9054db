"""Which detection of a keyframe is which known object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from samlite_ros.streaming.image.work_image import similarity
from samlite_ros.streaming.tuning import AssociationTuning, ReidentificationTuning
from samlite_ros.types import Prompt


@dataclass(frozen=True, eq=False)
class Candidate:
    """A known object or a detection, as far as recognising goes without overlap.

    Args:
        prompts: What it answers to.
        center: (2,) where it is, or was last [work px].
        size_px: Longer side of its box [work px].
        histogram: Its colours.
        unseen_s: For how long it has been out of sight [s].
        expected: (2,) where its motion would have taken it since [work px]; None = where it was.
    """

    prompts: frozenset[Prompt]
    center: NDArray[np.float32]
    size_px: float
    histogram: NDArray[np.float32]
    unseen_s: float = 0.0
    expected: NDArray[np.float32] | None = None

    def distance_px(self, point: NDArray[np.float32]) -> float:
        """Distance of a point (2,) from the way that it may have taken [work px]."""
        way = np.zeros(2, np.float32) if self.expected is None else self.expected - self.center
        length = float(way @ way)
        part = float(np.clip((point - self.center) @ way / length, 0.0, 1.0)) if length > 0 else 0.0
        return float(np.hypot(*(point - self.center - np.float32(part) * way)))


def overlaps(
    labels: NDArray[np.int16], owner: NDArray[np.int16], label_count: int, owner_count: int
) -> NDArray[np.float32]:
    """Intersection over union of all labels with all owners, counted at the same pixels or points.

    Args:
        labels: int (...), 0 = none, 1 to label_count.
        owner: int (...), 0 = none, 1 to owner_count.

    Returns:
        float32 (label_count, owner_count).
    """
    pairs = labels.astype(np.intp).ravel() * (owner_count + 1) + owner.astype(np.intp).ravel()
    joint = np.bincount(pairs, minlength=(label_count + 1) * (owner_count + 1))
    joint = joint.reshape(label_count + 1, owner_count + 1)
    union = joint.sum(1)[1:, None] + joint.sum(0)[None, 1:] - joint[1:, 1:]
    return np.asarray(joint[1:, 1:] / np.maximum(union, 1), np.float32)


def match_by_overlap(
    overlap: NDArray[np.float32],
    detections: Sequence[frozenset[Prompt]],
    tracks: Sequence[frozenset[Prompt]],
    across_prompts: bool,
    tuning: AssociationTuning,
) -> dict[int, int]:
    """Pair detections with tracks so that the sum of overlaps is greatest.

    Args:
        overlap: float32 (D, T): of the detection with the carried mask.
        detections, tracks: The prompts of each.
        across_prompts: Objects may be the same that no prompt has in common.
        tuning: How.

    Returns:
        Track index by detection index.
    """
    shared = np.array([[bool(d & t) for t in tracks] for d in detections], bool).reshape(overlap.shape)
    least_other = tuning.least_overlap_other_prompt if across_prompts else np.inf
    allowed = overlap >= np.where(shared, tuning.least_overlap, least_other)
    return _assign(np.where(allowed, overlap + tuning.same_prompt_bonus * shared, 0))


def match_by_appearance(
    detections: Sequence[Candidate], tracks: Sequence[Candidate], tuning: ReidentificationTuning
) -> dict[int, int]:
    """Recognise objects that were out of sight: same prompt, like colours, like size, not too far from expected.

    Returns:
        Track index by detection index.
    """
    gains = np.array([[_appearance_gain(d, t, tuning) for t in tracks] for d in detections], np.float32)
    return _assign(gains.reshape(len(detections), len(tracks)))


def _appearance_gain(detection: Candidate, track: Candidate, tuning: ReidentificationTuning) -> float:
    """0 = cannot be the same, up to 1."""
    if not detection.prompts & track.prompts:
        return 0.0
    reach = tuning.reach_sizes * track.size_px + tuning.reach_px_per_s * track.unseen_s
    distance = track.distance_px(detection.center)
    colors = similarity(detection.histogram, track.histogram)
    if distance > reach or colors < tuning.least_similarity:
        return 0.0
    return colors * (1 - tuning.distance_discount * distance / reach)


def _assign(gain: NDArray[np.float32]) -> dict[int, int]:
    """Greatest total gain; pairs without gain are left out."""
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if gain[r, c] > 0}
