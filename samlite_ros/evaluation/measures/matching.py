"""Which found instance is which true one, by overlap: COCO's greedy matching and the assignment of most overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from samlite_ros.pixels.masks import mask_iou
from samlite_ros.types import Mask

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""The ten overlaps over which COCO and SA-Co average."""
MORE_THAN_HALF = float(np.nextafter(0.5, 1.0))
"""Least overlap that can be of one thing only."""


@dataclass(frozen=True, eq=False)
class Match:
    """The outcome of COCO's matching at one overlap threshold.

    Args:
        truth_of: int (D,): index of the true instance of each found one; -1 = none.
        ignored: bool (D,): matched what is ignored, so neither right nor wrong.
    """

    truth_of: NDArray[np.int64]
    ignored: NDArray[np.bool_]

    @property
    def right(self) -> NDArray[np.bool_]:
        """bool (D,): matched something that counts."""
        return (self.truth_of >= 0) & ~self.ignored

    def taken_ious(self, ious: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (G,): overlap of each true instance with the found one that took it; 0 = not found."""
        out = np.zeros(ious.shape[1])
        for d in np.flatnonzero(self.truth_of >= 0):
            out[self.truth_of[d]] = ious[d, self.truth_of[d]]
        return out


def iou_matrix(
    found: Sequence[Mask], truth: Sequence[Mask], crowd: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Overlap of every found mask with every true one.

    Args:
        found: D masks.
        truth: G masks of the same image.
        crowd: bool (G,): for a crowd region the share of the *found* mask that lies in it is given, as COCO does.

    Returns:
        float64 (D, G).
    """
    out = np.zeros((len(found), len(truth)))
    for g, true_mask in enumerate(truth):
        for d, found_mask in enumerate(found):
            iou = mask_iou(found_mask, true_mask)
            is_crowd = crowd is not None and crowd[g]
            out[d, g] = _share_inside(found_mask, true_mask, iou) if is_crowd else iou
    return out


def _share_inside(found: Mask, region: Mask, iou: float) -> float:
    shared = iou * (found.area + region.area) / (1.0 + iou)  # from IoU = shared / (a + b - shared)
    return shared / found.area if found.area else 0.0


def match_greedily(
    scores: NDArray[np.float64],
    ious: NDArray[np.float64],
    crowd: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    iou_threshold: float,
) -> Match:
    """Match as COCO does: the best score chooses first, and takes the overlap that is largest among those left.

    Args:
        scores: (D,).
        ious: (D, G), see `iou_matrix`.
        crowd: bool (G,): true regions that may be matched by many and count for nothing.
        ignored: bool (G,): true instances that count for nothing; taken only where nothing else is left.
        iou_threshold: Least overlap of a match.

    Source: pycocotools, COCOeval.evaluateImg.
    """
    truth_of = np.full(len(scores), -1)
    unimportant = crowd | ignored
    free = np.ones(len(crowd), bool)
    for d in np.argsort(-scores, kind="stable"):
        g = _last_best(ious[d], free & ~unimportant, iou_threshold)
        g = _last_best(ious[d], (free & ignored) | crowd, iou_threshold) if g < 0 else g
        if g >= 0:
            free[g] = False
        truth_of[d] = g
    return Match(truth_of, (truth_of >= 0) & np.append(unimportant, False)[truth_of])


def _last_best(ious: NDArray[np.float64], allowed: NDArray[np.bool_], threshold: float) -> int:
    """Index of the largest allowed overlap of at least the threshold, the last one of equals; -1 = none."""
    candidates = np.where(allowed, ious, -1.0)
    if not len(candidates) or candidates.max() < min(threshold, 1 - 1e-10):
        return -1
    return len(candidates) - 1 - int(np.argmax(candidates[::-1]))


def assign(ious: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (found, true) of the one-to-one assignment with the largest sum of overlaps; may hold pairs of zero."""
    found, truth = linear_sum_assignment(ious, maximize=True)
    return found, truth
