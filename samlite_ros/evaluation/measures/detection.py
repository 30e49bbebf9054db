"""What was found, missed and too many: counts at one overlap, COCO's average precision, and masks of nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from samlite_ros.evaluation.measures.cases import Case
from samlite_ros.evaluation.measures.matching import IOU_THRESHOLDS

GHOST_IOU = 0.1
"""What overlaps less than this with everything is a mask of nothing."""
_NAN = float("nan")


@dataclass(frozen=True)
class DetectionCounts:
    """Counts at one overlap threshold. They add up over cases; a ratio without terms is NaN.

    Args:
        ious: Overlap of each true instance that was found.
        false_positives: Found instances that are no true one.
        false_negatives: True instances that were not found.
    """

    ious: tuple[float, ...] = ()
    false_positives: int = 0
    false_negatives: int = 0

    @property
    def true_positives(self) -> int:
        """True instances that were found."""
        return len(self.ious)

    @property
    def found(self) -> int:
        """Found instances."""
        return self.true_positives + self.false_positives

    @property
    def true(self) -> int:
        """True instances."""
        return self.true_positives + self.false_negatives

    @property
    def mean_iou(self) -> float:
        """Of the matched pairs."""
        return float(np.mean(self.ious)) if self.ious else _NAN

    @property
    def precision(self) -> float:
        """Share of the found instances that are right."""
        return self.true_positives / self.found if self.found else _NAN

    @property
    def recall(self) -> float:
        """Share of the true instances that were found."""
        return self.true_positives / self.true if self.true else _NAN


def count_detections(cases: Iterable[Case], iou_threshold: float = 0.5) -> DetectionCounts:
    """Count after COCO's matching."""
    return pooled(_counts_of(case, iou_threshold) for case in cases)


def _counts_of(case: Case, iou_threshold: float) -> DetectionCounts:
    match = case.match(iou_threshold)
    ious = match.taken_ious(case.ious)[case.counted]
    found = ious[ious > 0]
    wrong = int(((match.truth_of < 0) & ~match.ignored).sum())
    return DetectionCounts(tuple(found.tolist()), wrong, len(ious) - len(found))


def pooled(counts: Iterable[DetectionCounts]) -> DetectionCounts:
    """The counts of all together."""
    parts = list(counts)
    return DetectionCounts(
        tuple(iou for part in parts for iou in part.ious),
        sum(part.false_positives for part in parts),
        sum(part.false_negatives for part in parts),
    )


def average_precision(cases: Sequence[Case], iou_thresholds: Iterable[float] = IOU_THRESHOLDS) -> float:
    """COCO's AP of one phrase: area below the precision-recall curve at 101 points, mean over overlap thresholds.

    Args:
        cases: One phrase, every frame once. At most 100 instances per frame count, best scores first.
        iou_thresholds: Overlaps to average over.

    Returns:
        0 to 1; NaN where nothing is true.

    Source: pycocotools, COCOeval.accumulate.
    """
    n_true = sum(int(case.counted.sum()) for case in cases)
    if not n_true:
        return _NAN
    best = [case.best(100) for case in cases]
    return float(np.mean([_precision_at_threshold(best, n_true, t) for t in iou_thresholds]))


def _precision_at_threshold(best: Sequence[Case], n_true: int, threshold: float) -> float:
    scores, rights = [], []
    for case in best:
        match = case.match(threshold)
        scores.append(case.scores[~match.ignored])
        rights.append(match.truth_of[~match.ignored] >= 0)
    right = np.concatenate(rights)[np.argsort(-np.concatenate(scores), kind="stable")]
    recall = np.cumsum(right) / n_true
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    points = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.append(envelope, 0.0)[points].mean())


def count_ghosts(case: Case) -> int:
    """Found instances that lie on no true one, not even on an ignored one."""
    return int((case.ious.max(1, initial=0.0) < GHOST_IOU).sum())
