"""Interpolation of mask logits with torch's threads; see `samlite_ros.segmenter.upsample`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


@torch.inference_mode()
def resample(
    logits: NDArray[np.float32], vertical: NDArray[np.float32], horizontal: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """As `samlite_ros.segmenter.upsample.resample`."""
    return to_probability(torch.from_numpy(vertical) @ torch.from_numpy(logits) @ torch.from_numpy(horizontal).T)


def to_probability(logits: torch.Tensor) -> NDArray[np.uint8]:
    """Sigmoid, rounded to uint8 0 .. 255."""
    return logits.sigmoid().mul_(255).round_().to(torch.uint8).numpy()
