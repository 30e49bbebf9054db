"""Which colours speak for an object and which against it, learnt from one keyframe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.work_image import COLOR_BITS, COLORS
from samlite_ros.streaming.tuning import ColorTuning

SMOOTHING = np.asarray(sum(w * np.eye(1 << COLOR_BITS, k=k) for k, w in ((-1, 0.25), (0, 0.5), (1, 0.25))), np.float32)
"""Weights 1/4, 1/2, 1/4 along one axis, symmetric (16, 16)."""


@dataclass(frozen=True, eq=False)
class ColorModel:
    """Colour as evidence for one object.

    Args:
        log_odds: float32 (4096,): by colour index; positive = the object's colour. Already scaled by `trust`.
        probability: float32 (4096,): the same as a probability.
        trust: 0 = the colours do not tell the object from its surroundings, 1 = they do.
    """

    log_odds: NDArray[np.float32]
    probability: NDArray[np.float32]
    trust: float


def histogram(color_index: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Share of each colour among some pixels, smoothed over neighbouring colours, float32 (4096,)."""
    bins = 1 << COLOR_BITS
    counts = np.bincount(color_index.ravel(), minlength=COLORS).astype(np.float32)
    along_red = (SMOOTHING @ counts.reshape(bins, -1)).reshape(bins, bins, bins)
    smooth = (SMOOTHING @ along_red @ SMOOTHING).ravel()
    return np.asarray(smooth / (smooth.sum() + np.float32(1e-9)), np.float32)


def color_model(
    inside: NDArray[np.float32], ring: NDArray[np.float32], background: NDArray[np.float32], tuning: ColorTuning
) -> ColorModel:
    """Compare an object's colours with those around it.

    Args:
        inside: Histogram of the object.
        ring: Histogram of its surroundings.
        background: Histogram of everything that belongs to no object.
        tuning: How.
    """
    others = tuning.ring_share * ring + (1 - tuning.ring_share) * background
    evidence = np.log((inside + tuning.prior) / (others + tuning.prior))
    evidence = np.clip(evidence, -tuning.log_odds_limit, tuning.log_odds_limit).astype(np.float32)
    accuracy = 0.5 * float(inside[evidence > 0].sum() + ring[evidence < 0].sum())
    trust = float(np.clip((accuracy - tuning.useless) / (tuning.useful - tuning.useless), 0.0, 1.0))
    log_odds = evidence * np.float32(trust)
    probability = (1 / (1 + np.exp(-tuning.steepness * log_odds))).astype(np.float32)
    return ColorModel(log_odds, probability, trust)


def similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Bhattacharyya coefficient of two histograms: 1 = the same colours, 0 = none in common."""
    return float(np.sqrt(a * b).sum())
