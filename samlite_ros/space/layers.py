"""Layers of depth: what stands before what, by the valleys of a histogram."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BIN_SHARE = 0.008
"""Width of a bin as a share of its depth: 8 mm at 1 m."""
VALLEY_SHARE = 0.4
"""Two peaks are two layers where the histogram falls between them below this share of the lower one."""
LEAST_PEAK_SHARE = 0.01
"""A peak of less than this share of all pixels is none."""
_SMOOTHING = np.array([1, 2, 3, 2, 1]) / 9


def find_layers(depths: NDArray[np.float32], noise_per_m: float) -> list[tuple[float, float]]:
    """Split depths where few or none are.

    Args:
        depths: float32 (N,) [m], N >= 1, all > 0.
        noise_per_m: Standard deviation at 1 m [m]; it grows with the square of the distance.

    Returns:
        Least and greatest depth of each layer [m], near to far; together they hold every depth.
    """
    width = max(BIN_SHARE, 1.2 * noise_per_m * float(depths.mean()))
    logarithms = np.log(depths) / np.float32(width)
    first = float(logarithms.min()) - 2.0
    counts = np.bincount((logarithms - np.float32(first)).astype(np.int32))
    smooth = np.convolve(counts, _SMOOTHING, "full")[2:]
    borders = _valleys(smooth, LEAST_PEAK_SHARE * len(depths))
    edges = [0.0, *(float(np.exp((first + place + 0.5) * width)) for place in borders), np.inf]
    return list(pairwise(edges))


def _valleys(smooth: NDArray[np.float64], least_peak: float) -> list[int]:
    """Places of the lowest points between peaks that stand apart; between equal ones the middle."""
    padded = np.concatenate([[-1.0], smooth, [-1.0]])
    rises = np.flatnonzero((padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:]) & (smooth >= least_peak))
    peaks: list[int] = []
    for place in rises.tolist():
        while peaks and not _stand_apart(smooth, peaks[-1], place) and smooth[peaks[-1]] < smooth[place]:
            peaks.pop()
        if not peaks or _stand_apart(smooth, peaks[-1], place):
            peaks.append(place)
    return [_lowest(smooth, *pair) for pair in pairwise(peaks)]


def _stand_apart(smooth: NDArray[np.float64], first: int, second: int) -> bool:
    return bool(smooth[first:second].min() < VALLEY_SHARE * min(smooth[first], smooth[second]))


def _lowest(smooth: NDArray[np.float64], first: int, second: int) -> int:
    between = smooth[first:second]
    return first + int(np.flatnonzero(between <= between.min()).mean())
