"""Low-resolution mask logits to soft masks at camera resolution, computed only where a mask can be."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from samlite_ros.types import Mask

LEAST_PROBABILITY = 0.02
"""Pixels below it may be reported as 0; mask thresholds above it give the same mask as up-sampling everything."""

_FLOOR = math.log(LEAST_PROBABILITY / (1 - LEAST_PROBABILITY))


def upsample_mask(logits: NDArray[np.float32], size: tuple[int, int]) -> Mask:
    """Up-sample one mask bilinearly (pixel centres at halves, as torch's align_corners=False), then squash.

    Interpolation never exceeds its neighbours, so that a pixel can only reach `LEAST_PROBABILITY` where one of the
    four cells around it does: the rest of the image is never computed.

    Args:
        logits: float32 (h, w).
        size: (H, W) of the camera image [px].
    """
    above = logits > _FLOOR
    rows, columns = np.flatnonzero(above.any(1)), np.flatnonzero(above.any(0))
    if not len(rows):
        return Mask(0, 0, np.zeros((0, 0), np.uint8), size)
    y0, y1 = _reach(int(rows[0]), int(rows[-1]), logits.shape[0], size[0])
    x0, x1 = _reach(int(columns[0]), int(columns[-1]), logits.shape[1], size[1])
    top, bottom = max(int(rows[0]) - 1, 0), int(rows[-1]) + 2
    left, right = max(int(columns[0]) - 1, 0), int(columns[-1]) + 2
    vertical = _weights(logits.shape[0], size[0])[y0:y1, top:bottom]
    horizontal = _weights(logits.shape[1], size[1])[x0:x1, left:right]
    window = vertical @ logits[top:bottom, left:right] @ horizontal.T  # (y1 - y0, x1 - x0)
    return Mask(x0, y0, to_probability(window), size)


def to_probability(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Sigmoid, rounded to 0 .. 255."""
    bounded = np.clip(logits, -20.0, 20.0)
    return (255.0 / (1.0 + np.exp(-bounded)) + 0.5).astype(np.uint8)


def _reach(first: int, last: int, cells: int, pixels: int) -> tuple[int, int]:
    """Pixels [start, stop) that read a cell of first .. last: those whose source is within 1 cell of one of them."""
    scale = cells / pixels  # source = (pixel + 0.5) * scale - 0.5
    start = math.floor((first - 0.5) / scale - 0.5) + 1 if first > 0 else 0
    stop = math.ceil((last + 1.5) / scale - 0.5) if last < cells - 1 else pixels
    return max(start, 0), min(stop, pixels)


@lru_cache(maxsize=16)
def _weights(cells: int, pixels: int) -> NDArray[np.float32]:
    """float32 (pixels, cells): each row holds the two weights of one pixel."""
    scale = np.float32(cells / pixels)  # torch's precision, so that the same pixels fall on the same side
    source = np.maximum((np.arange(pixels, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5), 0.0)
    low = np.minimum(source.astype(np.int64), cells - 1)
    high = np.minimum(low + 1, cells - 1)
    share = (source - low).astype(np.float32)
    out = np.zeros((pixels, cells), np.float32)
    np.add.at(out, (np.arange(pixels), low), 1 - share)
    np.add.at(out, (np.arange(pixels), high), share)
    return out
