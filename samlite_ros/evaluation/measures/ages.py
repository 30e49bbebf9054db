"""How old the knowledge behind the masks is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from samlite_ros.evaluation.measures.cases import Case

AGE_EDGES_MS = (0.0, 1.0, 33.4, 66.8, 100.0, 200.0, 500.0, 1000.0, 2000.0)
"""Edges of the age histogram [ms]; the first bin holds what was seen in the very frame, the last is open."""
_NAN = float("nan")


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
        return AgeHistogram(AGE_EDGES_MS, tuple(counts.tolist()), _NAN, _NAN, _NAN)
    p50, p95 = (float(v) for v in np.percentile(ages, [50, 95]))
    return AgeHistogram(AGE_EDGES_MS, tuple(counts.tolist()), p50, p95, float(ages.max()))
