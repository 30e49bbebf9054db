"""Similarity transforms as (..., 2, 3) matrices: x' = A x + b; batches of them at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Poses = NDArray[np.float32]
"""float32 (..., 2, 3)."""


def identity() -> Poses:
    """The transform that moves nothing, (2, 3)."""
    return np.eye(2, 3, dtype=np.float32)


def translation(shift: NDArray[np.floating]) -> Poses:
    """Shift by (dx, dy), (2, 3)."""
    pose = identity()
    pose[:, 2] = shift
    return pose


def compose(outer: Poses, inner: Poses) -> Poses:
    """The transform that applies `inner`, then `outer`; (..., 2, 3)."""
    out = outer[..., :2] @ inner
    out[..., 2] += outer[..., 2]
    return out


def invert(pose: Poses) -> Poses:
    """The transform that undoes `pose`; (..., 2, 3)."""
    a, b, c, d = pose[..., 0, 0], pose[..., 0, 1], pose[..., 1, 0], pose[..., 1, 1]
    x, y = pose[..., 0, 2], pose[..., 1, 2]
    factor = 1 / (a * d - b * c)
    out = np.empty_like(pose)
    out[..., 0, 0], out[..., 0, 1], out[..., 0, 2] = d * factor, -b * factor, (b * y - d * x) * factor
    out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = -c * factor, a * factor, (c * x - a * y) * factor
    return out


def transform(pose: Poses, points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Move points (..., N, 2) by poses (..., 2, 3)."""
    linear = np.ascontiguousarray(pose[..., :2].swapaxes(-1, -2))  # not contiguous, numpy multiplies slowly
    moved = points @ linear
    moved += pose[..., None, :, 2]
    return moved.astype(np.float32, copy=False)


def scale_of(pose: Poses) -> NDArray[np.float32]:
    """Factor by which lengths grow, (...)."""
    determinant = pose[..., 0, 0] * pose[..., 1, 1] - pose[..., 0, 1] * pose[..., 1, 0]
    return np.sqrt(np.abs(determinant))


def window_pose(pose: Poses, source_corner: ArrayLike, target_corner: ArrayLike) -> Poses:
    """The same transforms (..., 2, 3) between windows, given by their upper left corners (..., 2) as (x, y)."""
    out = pose.copy()
    source = np.asarray(source_corner, np.float32)[..., None]
    out[..., 2] += (pose[..., :2] @ source)[..., 0] - np.asarray(target_corner, np.float32)
    return out


def moved_box(pose: Poses, box_xyxy: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bounds of boxes (..., 4) moved by poses (..., 2, 3): the least and the largest (x, y), (..., 2) each."""
    corners = transform(pose, _corners(box_xyxy))
    return corners.min(-2), corners.max(-2)


def corner_shift_px(pose: Poses, box_xyxy: ArrayLike) -> NDArray[np.float32]:
    """How far the farthest corner of boxes (..., 4) is moved by poses (..., 2, 3), (...)."""
    corners = _corners(box_xyxy)
    shift = transform(pose, corners) - corners
    return np.asarray(np.hypot(shift[..., 0], shift[..., 1]).max(-1), np.float32)


def _corners(box_xyxy: ArrayLike) -> NDArray[np.float32]:
    """(..., 4, 2)."""
    box = np.asarray(box_xyxy, np.float32)
    return box[..., [[0, 1], [2, 1], [0, 3], [2, 3]]]
