"""The contour accuracy F of DAVIS: how well the edge of a mask lies on the true edge."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.types import Mask

TOLERANCE = 0.008
"""Two contours agree where they are closer than this share of the image diagonal (rounded up to whole pixels)."""


def contour_f(found: Mask, truth: Mask) -> float:
    """F measure of the contour pixels, 0 to 1; 1 where both masks are empty.

    Source: Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation, CVPR 2016;
    the contour map is that of the published evaluation (a pixel whose right, lower or lower right neighbour differs).
    """
    radius_px = int(np.ceil(TOLERANCE * np.hypot(*truth.size)))
    window = _window(found, truth, radius_px)
    edge_found, edge_true = _contour(found, window), _contour(truth, window)
    n_found, n_true = int(edge_found.sum()), int(edge_true.sum())
    if not n_found or not n_true:
        return float(n_found == n_true)
    disk = _disk(radius_px)
    precision = np.count_nonzero(cv2.bitwise_and(edge_found, cv2.dilate(edge_true, disk))) / n_found
    recall = np.count_nonzero(cv2.bitwise_and(edge_true, cv2.dilate(edge_found, disk))) / n_true
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _window(a: Mask, b: Mask, margin_px: int) -> tuple[int, int, int, int]:
    """(y0, x0, y1, x1): holds both masks and a margin, inside the image."""
    filled = [m for m in (a, b) if m.area]
    if not filled:
        return 0, 0, 1, 1
    height, width = a.size
    y0 = min(m.y0 for m in filled) - margin_px - 1
    x0 = min(m.x0 for m in filled) - margin_px - 1
    y1 = max(m.y0 + m.probability.shape[0] for m in filled) + margin_px + 1
    x1 = max(m.x0 + m.probability.shape[1] for m in filled) + margin_px + 1
    return max(y0, 0), max(x0, 0), min(y1, height), min(x1, width)


def _contour(mask: Mask, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """uint8 (h, w): 1 on the contour; the neighbour beyond the image's edge is the pixel itself."""
    y0, x0, y1, x1 = window
    inside = np.zeros((y1 - y0 + 1, x1 - x0 + 1), bool)
    if mask.area:
        h, w = mask.inside.shape
        inside[mask.y0 - y0 : mask.y0 - y0 + h, mask.x0 - x0 : mask.x0 - x0 + w] = mask.inside
    inside[-1], inside[:, -1] = inside[-2], inside[:, -2]
    here, right, below, beyond = inside[:-1, :-1], inside[:-1, 1:], inside[1:, :-1], inside[1:, 1:]
    return np.asarray((here != right) | (here != below) | (here != beyond), np.uint8)


@cache
def _disk(radius_px: int) -> NDArray[np.uint8]:
    y, x = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    return np.asarray(x * x + y * y <= radius_px * radius_px, np.uint8)
