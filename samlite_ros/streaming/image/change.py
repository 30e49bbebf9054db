"""Has anything changed between two frames? Blind to noise and to flicker of the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.work_image import WorkImage
from samlite_ros.streaming.tuning import ChangeTuning

SAMPLE_STEP = 17
"""Exposure and noise are those of every so many-th pixel: enough for a median."""
MEDIAN_TO_DEVIATION = 1.48
"""Of a normal distribution: standard deviation over the median of its magnitude."""


def change_map(reference: WorkImage, current: WorkImage, tuning: ChangeTuning) -> NDArray[np.bool_]:
    """Where the current image differs from the reference, bool (h / 2, w / 2)."""
    before, now = reference.smooth, current.smooth
    sample = slice(None, None, SAMPLE_STEP)
    ratio = (before.reshape(-1, 3)[sample] + 1) / (now.reshape(-1, 3)[sample] + 1)
    gain = [min(max(float(g), 1 / tuning.most_gain), tuning.most_gain) for g in np.median(ratio, 0)]
    ceiling = _scalar([min(g, 1.0) * tuning.saturated for g in gain], now)
    adjusted = cv2.min(cv2.multiply(now, _scalar(gain, now)), ceiling)
    red, green, blue = cv2.split(cv2.absdiff(adjusted, cv2.min(before, ceiling)))
    difference = np.asarray(cv2.max(cv2.max(red, green), blue), np.float32)
    noise = min(MEDIAN_TO_DEVIATION * float(np.median(difference.ravel()[sample])), tuning.most_noise)
    return np.asarray(difference > max(tuning.least_difference, tuning.noise_factor * noise), np.bool_)


def _scalar(per_channel: Sequence[float], image: NDArray[np.float32]) -> Any:
    """One number per channel, as OpenCV takes them; it takes an image of a single pixel for such numbers itself."""
    return (*per_channel, 0.0) if image.size > 3 else np.full_like(image, per_channel)


def is_still(changed: NDArray[np.bool_], tuning: ChangeTuning) -> bool:
    """Whether a change map shows nothing but noise."""
    return int(np.count_nonzero(changed)) < tuning.least_pixels


def most_are_in(changed: NDArray[np.bool_], points: NDArray[np.float32]) -> bool:
    """Whether most of the points (N, 2) [work px] that are in sight lie in a change map; so do they where none is."""
    x, y = np.rint(points / 2).astype(np.intp).T
    inside = (x >= 0) & (y >= 0) & (x < changed.shape[1]) & (y < changed.shape[0])
    return not inside.any() or float(changed[y[inside], x[inside]].mean()) >= 0.5


def color_histogram(image: WorkImage) -> NDArray[np.float32]:
    """Share of each of 64 coarse colours in the image, float32 (64,)."""
    red, green, blue = (image.smooth[..., channel].astype(np.uint8) >> 6 for channel in range(3))
    counts = np.bincount(((red << 4) | (green << 2) | blue).ravel(), minlength=64).astype(np.float32)
    return np.asarray(counts / counts.sum(), np.float32)


def is_cut(before: NDArray[np.float32], now: NDArray[np.float32], tuning: ChangeTuning) -> bool:
    """Whether two colour histograms are those of different scenes."""
    return float(np.abs(before - now).sum()) / 2 > tuning.cut_distance
