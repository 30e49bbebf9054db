"""The measures of an evaluation: detection, COCO's AP, SA-Co's cgF1, regions and contours, identity, age."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samlite_ros.evaluation.measures.cases import Case
from samlite_ros.evaluation.measures.identity import IdentityCounts, count_identities, is_tracked
from samlite_ros.evaluation.measures.matching import IOU_THRESHOLDS, assign, match_greedily

NAN = float("nan")
SACO_SCORE_THRESHOLD = 0.5
AGE_EDGES_MS = (0.0, 1.0, 33.4, 66.8, 100.0, 200.0, 500.0, 1000.0, 2000.0)
"""Edges of the age histogram [ms]; the first bin holds what was seen in the very frame, the last is open."""


@dataclass(frozen=True)
class Detection:
    """Counts at one overlap threshold. `mean_iou` is over the matched pairs; NaN where a ratio has no terms."""

    true_positives: int
    false_positives: int
    false_negatives: int
    mean_iou: float

    @property
    def precision(self) -> float:
        """Share of the found instances that are right."""
        found = self.true_positives + self.false_positives
        return self.true_positives / found if found else NAN

    @property
    def recall(self) -> float:
        """Share of the true instances that were found."""
        true = self.true_positives + self.false_negatives
        return self.true_positives / true if true else NAN


def detection(cases: Iterable[Case], iou_threshold: float = 0.5) -> Detection:
    """Precision, recall and mean overlap after COCO's matching."""
    tp = fp = fn = 0
    ious: list[float] = []
    for case in cases:
        match = match_greedily(case.scores, case.ious, case.crowd, iou_threshold)
        right = (match.truth_of >= 0) & ~match.ignored
        tp += int(right.sum())
        fp += int((match.truth_of < 0).sum())
        fn += int((~case.crowd).sum() - right.sum())
        ious += [float(case.ious[d, match.truth_of[d]]) for d in np.flatnonzero(right)]
    return Detection(tp, fp, fn, float(np.mean(ious)) if ious else NAN)


def average_precision(cases: Sequence[Case], iou_thresholds: Iterable[float] = IOU_THRESHOLDS) -> float:
    """COCO's AP of one phrase: area below the precision-recall curve at 101 points, mean over overlap thresholds.

    Args:
        cases: One phrase, every frame once. At most 100 instances per frame count, best scores first.
        iou_thresholds: Overlaps to average over.

    Returns:
        0 to 1; NaN where nothing is true.

    Source: pycocotools, COCOeval.accumulate.
    """
    n_true = sum(int((~c.crowd).sum()) for c in cases)
    if not n_true:
        return NAN
    best = [_best_scores(c, 100) for c in cases]
    return float(np.mean([_precision_at_threshold(best, n_true, t) for t in iou_thresholds]))


def _best_scores(case: Case, limit: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Scores, overlaps and crowd flags of the best found instances, in falling order of score."""
    order = np.argsort(-case.scores, kind="stable")[:limit]
    return case.scores[order], case.ious[order], case.crowd


def _precision_at_threshold(
    best: Sequence[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]], n_true: int, threshold: float
) -> float:
    scores, rights = [], []
    for case_scores, ious, crowd in best:
        match = match_greedily(case_scores, ious, crowd, threshold)
        scores.append(case_scores[~match.ignored])
        rights.append(match.truth_of[~match.ignored] >= 0)
    right = np.concatenate(rights)[np.argsort(-np.concatenate(scores), kind="stable")]
    recall = np.cumsum(right) / n_true
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    points = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.append(envelope, 0.0)[points].mean())


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
        cases: Pairs; crowd regions are left out.
        score_threshold: Instances below it do not count.

    Source: SAM 3: Segment Anything with Concepts, arXiv 2511.16719, and its published evaluation (cgf1_eval.py), whose
    small constants are kept so that numbers agree.
    """
    tp, fp, fn = (np.zeros(len(IOU_THRESHOLDS)) for _ in range(3))
    image_level = np.zeros((2, 2), int)  # [truth has the phrase, answered with something]
    for case in cases:
        ious = case.ious[case.scores >= score_threshold][:, ~case.crowd]
        n_found, n_true = ious.shape
        image_level[int(n_true > 0), int(n_found > 0)] += 1
        if not n_true:
            continue
        matched = np.sort(ious[assign(ious)])
        right = len(matched) - np.searchsorted(matched, IOU_THRESHOLDS, side="left")
        tp, fp, fn = tp + right, fp + n_found - right, fn + n_true - right
    precision, recall = tp / (tp + fp + 1e-4), tp / (tp + fn + 1e-4)
    pmf1 = float(np.mean(2 * precision * recall / (precision + recall + 1e-4))) if image_level[1].any() else NAN
    mcc = _matthews(image_level)
    absent = int(image_level[0].sum())
    answered = int(image_level[0, 1])
    return SacoScores(pmf1 * mcc, pmf1, mcc, answered / absent if absent else NAN, absent, answered)


def _matthews(counts: NDArray[np.int64]) -> float:
    (tn, fp), (fn, tp) = counts.tolist()
    if not tn + fp or not tp + fn:
        return NAN
    product = float(tp + fp) * float(tp + fn) * float(tn + fp) * float(tn + fn)
    return float(tp * tn - fp * fn) / (product**0.5 + 1e-6)


class AgeHistogram(NamedTuple):
    """How old the knowledge behind the masks is. `counts` are between `edges_ms`, the last bin is open."""

    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]
    p50_ms: float
    p95_ms: float
    max_ms: float


def age_histogram(cases: Iterable[Case]) -> AgeHistogram:
    """Ages of all found instances [ms]."""
    ages = np.concatenate([c.ages_ms for c in cases] or [np.zeros(0)])
    counts, _ = np.histogram(ages, [*AGE_EDGES_MS, np.inf])
    if not len(ages):
        return AgeHistogram(AGE_EDGES_MS, tuple(counts.tolist()), NAN, NAN, NAN)
    p50, p95 = (float(v) for v in np.percentile(ages, [50, 95]))
    return AgeHistogram(AGE_EDGES_MS, tuple(counts.tolist()), p50, p95, float(ages.max()))


@dataclass(frozen=True)
class Scores:
    """Everything that is measured over a set of cases; NaN = not defined for them.

    Args:
        cases: Pairs of frame and phrase.
        detection: At overlap 0.5.
        ap, ap50: COCO's AP, over ten overlaps and at 0.5; of several phrases the mean.
        saco: The measures of SA-Co.
        j, f: Region and contour accuracy, mean over true instances; 0 where one was not found.
        identity: Counts behind IDF1; None where one side names no tracks.
        ages: Age of the knowledge.
    """

    cases: int
    detection: Detection
    ap: float
    ap50: float
    saco: SacoScores
    j: float
    f: float
    identity: IdentityCounts | None
    ages: AgeHistogram


def score(cases: Sequence[Case]) -> Scores:
    """Measure a set of cases: any number of phrases and cameras, each frame once."""
    by_phrase = _group(cases, lambda c: c.phrase)
    by_sequence = _group(cases, lambda c: (c.camera, c.phrase))
    return Scores(
        cases=len(cases),
        detection=detection(cases),
        ap=_mean([average_precision(group) for group in by_phrase]),
        ap50=_mean([average_precision(group, (0.5,)) for group in by_phrase]),
        saco=saco_scores(cases),
        j=_mean([v for c in cases for v in c.region_j]),
        f=_mean([v for c in cases for v in c.contour_f]),
        identity=_identity(by_sequence) if is_tracked(cases) else None,
        ages=age_histogram(cases),
    )


def _group(cases: Iterable[Case], key: Callable[[Case], object]) -> list[list[Case]]:
    groups: defaultdict[object, list[Case]] = defaultdict(list)
    for case in cases:
        groups[key(case)].append(case)
    return list(groups.values())


def _identity(sequences: Iterable[Sequence[Case]]) -> IdentityCounts:
    counts = [count_identities(sequence) for sequence in sequences]
    return IdentityCounts(*(sum(column) for column in zip(*counts, strict=True)))


def _mean(values: Sequence[float]) -> float:
    """Mean of the values that are defined; NaN = none is."""
    defined = [v for v in values if not np.isnan(v)]
    return float(np.mean(defined)) if defined else NAN
