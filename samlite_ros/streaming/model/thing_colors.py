"""The colours of a thing against those around it, learnt in its keyframe: the anchor of everything carried later."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.work_image import histogram
from samlite_ros.streaming.tuning import ColorTuning

RING_SHARE = 0.5
"""Width of the surroundings looked at, as a share of the root of the thing's area."""


def color_bins(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """12-bit colour of each pixel of an image (h, w, 3), (h, w)."""
    blurred = np.asarray(cv2.GaussianBlur(rgb, (3, 3), 0.8), np.uint8)
    red, green, blue = (np.asarray(c, np.uint8) >> 4 for c in cv2.split(blurred))
    return np.asarray((red.astype(np.uint16) << 8) | ((green << 4) | blue), np.uint16)


@dataclass(frozen=True, eq=False)
class ThingColors:
    """Colour as evidence for one thing.

    Args:
        log_odds: float32 (4096,): by 12-bit colour, scaled by how well colours tell the thing from what is around it.
        trust: That scale, 0 to 1.
    """

    log_odds: NDArray[np.float32]
    trust: float

    def odds(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Evidence of each pixel of an image (h, w, 3), smoothed, (h, w)."""
        return np.asarray(cv2.blur(self.log_odds.take(color_bins(rgb)), (3, 3)), np.float32)


def learn_colors(rgb: NDArray[np.uint8], distance: NDArray[np.float32], tuning: ColorTuning) -> ThingColors:
    """Learn from a window of the keyframe.

    Args:
        rgb: uint8 (n, n, 3).
        distance: float32 (n, n): signed distance to the thing's border [cells]; -inf outside the image.
        tuning: How.
    """
    bins = color_bins(rgb)
    inside = distance > 0
    wide = max(RING_SHARE * float(np.sqrt(max(int(np.count_nonzero(inside)), 1))), 6.0)
    own, ring = histogram(bins[inside]), histogram(bins[(distance < 0) & (distance > -wide)])
    limit = tuning.log_odds_limit
    odds = np.clip(np.log((own + tuning.prior) / (ring + tuning.prior)), -limit, limit).astype(np.float32)
    right = 0.5 * float(own[odds > 0].sum() + ring[odds < 0].sum())
    trust = float(np.clip((right - tuning.useless) / (tuning.useful - tuning.useless), 0, 1))
    return ThingColors(odds * np.float32(trust), trust)
