"""SA-Co's measures: is the phrase there at all, and how well are its things found?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlite_ros.evaluation.measures.cases import Case
from samlite_ros.evaluation.measures.matching import IOU_THRESHOLDS, assign

SACO_SCORE_THRESHOLD = 0.5
_NAN = float("nan")


@dataclass(frozen=True)
class SacoScores:
    """The measures of SA-Co, 0 to 1 (the papers print them times 100).

    Args:
        cgf1: Classification-gated F1, pmf1 times il_mcc.
        pmf1: Positive micro F1: over the frames that show the phrase, mean over ten overlaps.
        il_mcc: Image-level Matthews correlation: is the phrase there at all? NaN where truth is all present or all
            absent, because then it is not defined.
        false_positive_rate: Share of the frames without the phrase that were answered with something.
        absent_frames, absent_answered: The two numbers behind it.
    """

    cgf1: float
    pmf1: float
    il_mcc: float
    false_positive_rate: float
    absent_frames: int
    absent_answered: int


def saco_scores(cases: Iterable[Case], score_threshold: float = SACO_SCORE_THRESHOLD) -> SacoScores:
    """Score pairs of frame and phrase as SA-Co does.

    Args:
        cases: Pairs; what does not count is left out.
        score_threshold: Instances below it do not count.

    Source: SAM 3: Segment Anything with Concepts, arXiv 2511.16719, and its published evaluation (cgf1_eval.py), whose
    small constants are kept so that numbers agree.
    """
    tp, fp, fn = (np.zeros(len(IOU_THRESHOLDS)) for _ in range(3))
    image_level = np.zeros((2, 2), int)  # [truth has the phrase, answered with something]
    for case in cases:
        ious = case.ious[(case.scores >= score_threshold) & ~_in_crowd(case)][:, case.counted]
        n_found, n_true = ious.shape
        if not n_true and case.crowd.any():
            continue  # it is there, and may be found or not
        image_level[int(n_true > 0), int(n_found > 0)] += 1
        if not n_true:
            continue
        matched = np.sort(ious[assign(ious)])
        right = len(matched) - np.searchsorted(matched, IOU_THRESHOLDS, side="left")
        tp, fp, fn = tp + right, fp + n_found - right, fn + n_true - right
    precision, recall = tp / (tp + fp + 1e-4), tp / (tp + fn + 1e-4)
    pmf1 = float(np.mean(2 * precision * recall / (precision + recall + 1e-4))) if image_level[1].any() else _NAN
    mcc = _matthews(image_level)
    absent = int(image_level[0].sum())
    answered = int(image_level[0, 1])
    return SacoScores(pmf1 * mcc, pmf1, mcc, answered / absent if absent else _NAN, absent, answered)


def _in_crowd(case: Case) -> NDArray[np.bool_]:
    """bool (D,): found instances that lie in a crowd region, which count for nothing."""
    inside = np.zeros(len(case.scores), bool)
    if case.crowd.any():
        truth_of = case.match().truth_of
        inside[truth_of >= 0] = case.crowd[truth_of[truth_of >= 0]]
    return inside


def _matthews(counts: NDArray[np.int64]) -> float:
    (tn, fp), (fn, tp) = counts.tolist()
    if not tn + fp or not tp + fn:
        return _NAN
    product = float(tp + fp) * float(tp + fn) * float(tn + fp) * float(tn + fn)
    spread: float = product**0.5 + 1e-6
    return float(tp * tn - fp * fn) / spread
