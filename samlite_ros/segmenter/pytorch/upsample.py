"""Low-resolution mask logits to soft masks at camera resolution, computed only where a mask can be."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from samlite_ros.types import Mask

LEAST_PROBABILITY = 0.05
"""Pixels below it may be reported as 0; mask thresholds above it give the same mask as up-sampling everything."""

_FLOOR = math.log(LEAST_PROBABILITY / (1 - LEAST_PROBABILITY))


def upsample_mask(logits: torch.Tensor, size: tuple[int, int]) -> Mask:
    """Up-sample one mask bilinearly (pixel centres at halves, torch's align_corners=False), then squash.

    Interpolation never exceeds its neighbours, so that a pixel can only reach `LEAST_PROBABILITY` where one of the
    four cells around it does: the rest of the image is never computed. The two small matrix products run in torch,
    because numpy's would wake a second pool of threads, which costs the network twice its time on two cores.

    Args:
        logits: float32 (h, w), on the CPU.
        size: (H, W) of the camera image [px].
    """
    above = logits.numpy() > _FLOOR
    rows, columns = _extent(above.any(axis=1)), _extent(above.any(axis=0))
    if rows is None or columns is None:
        return Mask(0, 0, np.zeros((0, 0), np.uint8), size)
    cells, (height, width) = logits.shape, size
    y, read_y = _reach(*rows, cells[0], height)
    x, read_x = _reach(*columns, cells[1], width)
    vertical, horizontal = _weights(cells[0], height)[y, read_y], _weights(cells[1], width)[x, read_x]
    window = vertical @ logits[read_y, read_x] @ horizontal.T  # (y1 - y0, x1 - x0)
    return Mask(y0=y.start, x0=x.start, probability=to_probability(window), size=size)


def to_probability(logits: torch.Tensor) -> NDArray[np.uint8]:
    """Sigmoid, rounded to uint8 0 .. 255."""
    return logits.sigmoid().mul_(255).round_().to(torch.uint8).numpy()


def _extent(used: Any) -> tuple[int, int] | None:
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
def _weights(cells: int, pixels: int) -> torch.Tensor:
    """float32 (pixels, cells): each row holds the two weights with which one pixel reads the cells."""
    scale = torch.tensor(cells / pixels)  # float32 like torch's own, so that the same pixels fall on the same side
    source = ((torch.arange(pixels) + 0.5) * scale - 0.5).clamp(min=0)
    low = source.long().clamp(max=cells - 1)
    high = (low + 1).clamp(max=cells - 1)
    share = (source - low)[:, None]
    weights = torch.zeros(pixels, cells).scatter_add_(1, low[:, None], 1 - share)
    return weights.scatter_add_(1, high[:, None], share)
