"""IDF1: do the track ids stay with the things, over the whole sequence?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from samlite_ros.evaluation.measures.cases import Case
from samlite_ros.evaluation.measures.matching import match_greedily

UNTRACKED = 0
"""Track id of an instance that belongs to no track."""


class IdentityCounts(NamedTuple):
    """Detections by identity: right, too many, missed. They add up over sequences."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def idf1(self) -> float:
        """2 TP / (2 TP + FP + FN); NaN where there is nothing to count."""
        total = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / total if total else float("nan")


def count_identities(cases: Iterable[Case], iou_threshold: float = 0.5) -> IdentityCounts:
    """Count detections under the one-to-one assignment of true to found tracks that explains most of them.

    Args:
        cases: One camera and one phrase, every frame once; a track is at most once in a frame. What was found in a
            crowd region counts for nothing.
        iou_threshold: Least overlap for a detection to be of the true thing.

    Source: Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, 2016.
    """
    together: Counter[tuple[int, int]] = Counter()
    n_found = n_true = 0
    for case in cases:
        counted = ~match_greedily(case.scores, case.ious, case.crowd, iou_threshold).ignored
        ious = case.ious[counted][:, ~case.crowd]
        found, true = case.found_tracks[counted], case.true_tracks[~case.crowd]
        n_found, n_true = n_found + len(found), n_true + len(true)
        for d, g in zip(*np.nonzero(ious >= iou_threshold), strict=True):
            if found[d] != UNTRACKED and true[g] != UNTRACKED:
                together[int(true[g]), int(found[d])] += 1
    right = _most_explained(together)
    return IdentityCounts(right, n_found - right, n_true - right)


def _most_explained(together: Counter[tuple[int, int]]) -> int:
    rows = {t: i for i, t in enumerate(sorted({t for t, _ in together}))}
    columns = {f: i for i, f in enumerate(sorted({f for _, f in together}))}
    counts = np.zeros((len(rows), len(columns)))
    for (true_track, found_track), count in together.items():
        counts[rows[true_track], columns[found_track]] = count
    return int(counts[linear_sum_assignment(counts, maximize=True)].sum())


def is_tracked(cases: Iterable[Case]) -> bool:
    """True where both sides name tracks: without them IDF1 says nothing."""
    found = true = False
    for case in cases:
        found = found or bool((case.found_tracks != UNTRACKED).any())
        true = true or bool((case.true_tracks != UNTRACKED).any())
    return found and true
