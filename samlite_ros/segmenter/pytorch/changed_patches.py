"""Which patches of an image show something else than they did: exposure, noise and compression are no change.

Images are compared by the means of cells, a quarter of a patch each: noise of pixels and of their compression averages
out there, an edge that moves by a pixel does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

LEAST_CHANGE = 2.5
"""A patch whose cells differ by less, root mean square of 255, is taken for the same."""
NOISE_FACTOR, MOST_NOISE = 3.0, 1.5
"""So many times the noise must a patch differ; noise is what half of the patches differ by, and no more than this."""
_OUTLIER = 3.0
"""Cells that differ by more than so many times the median take no part in measuring the exposure."""

_SAMPLED = 16
"""So many cells along each side measure the exposure."""


@dataclass(frozen=True, eq=False)
class Exposure:
    """How one image's light became another's: value * gain + offset, per channel, of 255."""

    gain: NDArray[np.float32]
    offset: NDArray[np.float32]

    def undo(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """The other image's (..., 3) values in the one's light."""
        return np.asarray((cells - self.offset) / self.gain, np.float32)


def cells_of(square: torch.Tensor, side: int) -> NDArray[np.float32]:
    """Means of the cells of an image.

    Args:
        square: uint8 or float (1, 3, size, size), 0 to 255, on any device.
        side: Of the grid of patches.

    Returns:
        float32 (cells, cells, 3); 2 x 2 cells a patch, or one where a patch's side is odd.
    """
    patch = square.shape[-1] // side
    means = F.avg_pool2d(square.float(), patch // 2 if patch % 2 == 0 else patch)[0]
    return np.ascontiguousarray(means.permute(1, 2, 0).cpu().numpy())


def measure_exposure(cells: NDArray[np.float32], before: NDArray[np.float32]) -> Exposure:
    """The line through most cells, per channel; what moved is left out."""
    step = -(-len(cells) // _SAMPLED)
    now, then = (part[::step, ::step].reshape(-1, 3) for part in (cells, before))
    levels = np.median(np.concatenate((now, then), 1), 0)
    gain = (levels[:3] / np.maximum(levels[3:], 1.0)).clip(0.25, 4.0)
    error = np.abs(now - then * gain)
    inside = (error <= _OUTLIER * np.median(error, 0) + 1.0).astype(np.float32)
    return Exposure(*_line(then, now, inside))


def changed_patches(cells: NDArray[np.float32], before: NDArray[np.float32], side: int) -> NDArray[np.bool_]:
    """bool (side, side): patches that differ, and their neighbours.

    Args:
        cells: Of the image, in the light of `before`.
        before: What each patch showed when it was computed last.
        side: Of the grid of patches.
    """
    squares = (cells - before) ** 2
    per = len(cells) // side
    patches = np.sqrt(squares.reshape(side, per, side, per * 3).mean((1, 3)))
    threshold = max(LEAST_CHANGE, NOISE_FACTOR * min(float(np.median(patches)), MOST_NOISE))
    differs = (patches > threshold).astype(np.uint8)
    return cv2.dilate(differs, np.ones((3, 3), np.uint8)).astype(np.bool_)


def _line(
    x: NDArray[np.float32], y: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain and offset of least squares per column; a flat image has no gain of its own."""
    total = np.maximum(weight.sum(0), 1.0)
    centre_x, centre_y = (weight * x).sum(0) / total, (weight * y).sum(0) / total
    off_x = weight * (x - centre_x)
    spread = (off_x * x).sum(0)
    gain = np.where(spread > total, (off_x * y).sum(0) / np.maximum(spread, 1e-6), 1.0).clip(0.25, 4.0)
    return np.asarray(gain, np.float32), np.asarray(centre_y - gain * centre_x, np.float32)
