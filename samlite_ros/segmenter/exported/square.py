"""From a camera image to the network's square, byte for byte as torch resizes it, without torch.

Bilinear with antialias on bytes: along each axis every pixel is a weighted mean of its neighbours, in integers, rounded
to bytes between the axes. The weights are few, so that a sparse product does it.

Source: torch's aten/src/ATen/native/cpu/UpSampleKernel.cpp, `_compute_index_ranges_int16_weights`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

_MOST_BITS = 22
_LARGEST_WEIGHT = 1 << 15
_FLOAT_BITS = 16
"""Up to so many bits of weights, a sum of bytes is an integer below 2^24, which float32 holds exactly."""

_STRIP = 1 << 18
"""So many numbers at once stay in a core's cache."""


class _Axis(NamedTuple):
    """Resizing along one axis: weights (target, source), which are `1 << bits` times the real ones.

    Args:
        weights: float32 with bits = 0, where that holds every sum exactly; else int32.
        half: What rounds a sum to the nearest when the rest is cut off.
        bits: See above.
    """

    weights: Any
    half: Any
    bits: int


def to_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize to a square.

    Args:
        image: uint8 (H, W, 3), RGB.
        size: Side of the square [px].

    Returns:
        uint8 (size, size, 3).
    """
    height, width = image.shape[:2]
    narrow = np.empty((height, size, 3), np.uint8)
    step = max(_STRIP // (width * 3), 1)
    for first in range(0, height, step):
        rows = slice(first, first + step)
        columns = _resize_first(cv2.transpose(image[rows]), size, _axis(width, size))  # (size, rows, 3)
        narrow[rows] = cv2.transpose(columns)
    return _resize_first(narrow, size, _axis(height, size))


def _resize_first(image: NDArray[Any], size: int, axis: _Axis) -> NDArray[np.uint8]:
    """Resize the first axis."""
    source, other, channels = image.shape
    if source == size:
        return np.asarray(image, np.uint8)
    total = axis.weights @ image.reshape(source, -1).astype(axis.weights.dtype)
    total += axis.half
    if axis.bits:
        total = np.clip(total >> axis.bits, 0, 255)
    return np.asarray(total, np.uint8).reshape(size, other, channels)


@lru_cache(maxsize=16)
def _axis(source: int, target: int) -> _Axis:
    scale = source / target
    reach = max(scale, 1.0)
    rows = [_row(source, scale * (place + 0.5), reach) for place in range(target)]
    bits = _bits(max(float(weights.max()) for _, weights in rows))
    columns = np.concatenate([first + np.arange(len(weights)) for first, weights in rows])
    ends = np.cumsum([0, *(len(weights) for _, weights in rows)])
    values = np.floor(np.concatenate([weights for _, weights in rows]) * (1 << bits) + 0.5)
    weights = csr_matrix((values.astype(np.int32), columns, ends), shape=(target, source))
    if bits > _FLOAT_BITS or 255 * int(weights.sum(1).max()) >= (255 << bits) + (1 << (bits - 1)):
        return _Axis(weights, np.int32(1 << (bits - 1)), bits)
    return _Axis(weights.astype(np.float32) * np.float32(0.5**bits), np.float32(0.5), 0)


def _row(source: int, centre: float, reach: float) -> tuple[int, NDArray[np.float64]]:
    """Where the neighbours of one target pixel begin, and their weights: a triangle around its centre."""
    first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), source)
    weights = np.maximum(0.0, 1 - np.abs(np.arange(first, last) - centre + 0.5) / reach)
    return first, weights / weights.sum()


def _bits(largest: float) -> int:
    """As many bits as the largest weight leaves room for in 16."""
    fits = (bits for bits in range(_MOST_BITS) if int(0.5 + largest * (1 << (bits + 1))) >= _LARGEST_WEIGHT)
    return next(fits, _MOST_BITS)
