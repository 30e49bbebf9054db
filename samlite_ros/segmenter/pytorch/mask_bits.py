"""Masks cut at the camera's resolution where they were drawn, and packed: eight pixels a byte leave the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from samlite_ros.segmenter.upsample import LARGEST_LOGIT, interpolation_weights
from samlite_ros.types import Mask

_AT_ONCE = 1 << 24
"""So many pixels are interpolated at once: 64 MiB of float32."""


def cut_masks(logits: torch.Tensor, levels: Sequence[int], size: tuple[int, int]) -> list[Mask]:
    """Masks of 0 and 255 that are inside where those of probabilities are.

    Args:
        logits: (K, h, w), on any device.
        levels: K, of each the least probability inside, as `Mask.threshold`.
        size: (H, W) of the camera image [px].
    """
    if not len(levels):
        return []
    step = max(_AT_ONCE // (size[0] * size[1]), 1)
    least = torch.tensor(levels, dtype=torch.float32).to(logits.device, non_blocking=True)
    parts = zip(logits.split(step), least.split(step), strict=True)
    packed = torch.cat([pack(_inside(part, level, size)) for part, level in parts])
    return list(unpack(packed.cpu().numpy(), size))  # the device is waited for once


def pack(inside: torch.Tensor) -> torch.Tensor:
    """bool (K, H, W) to uint8 (K, H, W / 8 rounded up), the first pixel in the highest bit, as numpy packs them."""
    places = 2 ** torch.arange(7, -1, -1, device=inside.device, dtype=torch.uint8)
    padded = F.pad(inside.to(torch.uint8), (0, -inside.shape[2] % 8)).unflatten(2, (-1, 8))
    return (padded * places).sum(3, dtype=torch.uint8)


def unpack(packed: NDArray[np.uint8], size: tuple[int, int]) -> Iterator[Mask]:
    """uint8 (K, H, W / 8 rounded up) to K masks, each with the window in which it has pixels.

    Args:
        packed: See `pack`.
        size: (H, W) of the camera image [px].
    """
    for plane in packed:
        rows, columns = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
        if not len(rows):
            yield Mask(0, 0, np.zeros((0, 0), np.uint8), size)
            continue
        window = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        x0 = 8 * int(columns[0])
        pixels = np.unpackbits(window, axis=1, count=min(8 * window.shape[1], size[1] - x0))
        yield Mask(x0, int(rows[0]), pixels * np.uint8(255), size)


def _inside(logits: torch.Tensor, levels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """bool (K, H, W), by the steps that make a mask of probabilities."""
    bounded = logits.float().nan_to_num(-LARGEST_LOGIT).clamp_(-LARGEST_LOGIT, LARGEST_LOGIT)
    vertical = _weights(logits.shape[1], size[0], logits.device)
    horizontal = _weights(logits.shape[2], size[1], logits.device)
    probability = (vertical @ bounded @ horizontal.T).sigmoid_().mul_(255).round_()
    return probability >= levels[:, None, None]


@lru_cache(maxsize=8)
def _weights(cells: int, pixels: int, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(interpolation_weights(cells, pixels)).to(device)
