"""Low-resolution mask logits to soft masks at camera resolution, computed only where a mask can be."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlite_ros.types import Mask

LEAST_PROBABILITY = 0.05
"""Pixels below it may be reported as 0; mask thresholds above it give the same mask as up-sampling everything."""

LARGEST_LOGIT = 1e4
"""Logits beyond it are taken for it; what is not a number, for its negative."""

_FLOOR = math.log(LEAST_PROBABILITY / (1 - LEAST_PROBABILITY))

Resample = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]], NDArray[np.uint8]]
"""See `resample`."""


def resample(
    logits: NDArray[np.float32], vertical: NDArray[np.float32], horizontal: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Probabilities of interpolated logits.

    Args:
        logits: float32 (h, w).
        vertical: float32 (H, h), weights with which each row of pixels reads the rows of cells.
        horizontal: float32 (W, w), the same for columns.

    Returns:
        uint8 (H, W), 255 = certain.
    """
    window = vertical @ logits @ horizontal.T
    half = np.float32(0.5)
    probability = np.tanh(window * half) * half + half  # a sixth of the time of scipy's sigmoid
    return np.asarray(np.rint(255 * probability), np.uint8)


def upsample_mask(logits: NDArray[np.float32], size: tuple[int, int], resample: Resample = resample) -> Mask:
    """Up-sample one mask bilinearly (pixel centres at halves, torch's align_corners=False), then squash.

    Interpolation never exceeds its neighbours, so that a pixel can only reach `LEAST_PROBABILITY` where one of the
    four cells around it does: the rest of the image is never computed.

    Args:
        logits: float32 (h, w), finite.
        size: (H, W) of the camera image [px].
        resample: Computes the two small products.
    """
    above = logits > _FLOOR
    rows, columns = _extent(above.any(axis=1)), _extent(above.any(axis=0))
    if rows is None or columns is None:
        return Mask(0, 0, np.zeros((0, 0), np.uint8), size)
    cells, (height, width) = logits.shape, size
    y, read_y = _reach(*rows, cells[0], height)
    x, read_x = _reach(*columns, cells[1], width)
    vertical, horizontal = (
        interpolation_weights(cells[0], height)[y, read_y],
        interpolation_weights(cells[1], width)[x, read_x],
    )
    window = resample(logits[read_y, read_x], vertical, horizontal)  # (y1 - y0, x1 - x0)
    return Mask(y0=y.start, x0=x.start, probability=window, size=size)


def _extent(used: ArrayLike) -> tuple[int, int] | None:
    """First and last index that is used."""
    indices = np.flatnonzero(used)
    return (int(indices[0]), int(indices[-1])) if len(indices) else None


def _reach(first: int, last: int, cells: int, pixels: int) -> tuple[slice, slice]:
    """Pixels that read one of the cells first .. last, and the cells that those pixels read."""
    scale = cells / pixels  # a pixel's source = (pixel + 0.5) * scale - 0.5; it reads the cells within 1 of it
    start = math.floor((first - 0.5) / scale - 0.5) + 1 if first > 0 else 0
    stop = math.ceil((last + 1.5) / scale - 0.5) if last < cells - 1 else pixels
    return slice(max(start, 0), min(stop, pixels)), slice(max(first - 1, 0), min(last + 2, cells))


@lru_cache(maxsize=16)
def interpolation_weights(cells: int, pixels: int) -> NDArray[np.float32]:
    """float32 (pixels, cells): each row holds the two weights with which one pixel reads the cells."""
    scale = np.float32(cells / pixels)  # float32 like torch's, so that the same pixels fall on the same side
    rows = np.arange(pixels)
    source = np.maximum((rows.astype(np.float32) + np.float32(0.5)) * scale - np.float32(0.5), np.float32(0))
    low = np.minimum(source.astype(np.int64), cells - 1)
    high = np.minimum(low + 1, cells - 1)
    share = source - low.astype(np.float32)
    weights = np.zeros((pixels, cells), np.float32)
    weights[rows, low] += 1 - share
    weights[rows, high] += share
    return weights
