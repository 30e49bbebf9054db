"""Everything that is measured over cases, in one place: a new measure is a function of cases in the file of its
subject, a field here, and a name in `report.metrics_of`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from samlite_ros.evaluation.measures.ages import AgeHistogram, age_histogram
from samlite_ros.evaluation.measures.cases import Case
from samlite_ros.evaluation.measures.detection import DetectionCounts, average_precision, count_detections
from samlite_ros.evaluation.measures.identity import IdentityCounts, count_identities, is_tracked
from samlite_ros.evaluation.measures.saco import SacoScores, saco_scores


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
    detection: DetectionCounts
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
        detection=count_detections(cases),
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
    return float(np.mean(defined)) if defined else float("nan")
