"""The points by which an object of a keyframe is found again: template points, and points near its outline.

Signed distances are in fine pixels (half a work pixel), positive inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.work_image import FINE
from samlite_ros.streaming.tuning import TemplateTuning

TEMPLATE_POINTS, OUTLINE_POINTS = 96, 48
"""Width of the tables in which the points of all objects are stacked."""


@dataclass(frozen=True, eq=False)
class AlignmentPoints:
    """Points by which an object is found again: T = 96 template points, then M = 48 outline points; N in all.

    Where an object has fewer, they are filled up with points of weight 0.

    Args:
        points: float32 (N, 2): where they are in the keyframe [work px].
        color: float32 (T, 3): colour of the template points [levels].
        target: float32 (M,): how much inside the outline points are, 0 to 1.
        jacobian: float32 (3 T + M, 4): change of the colours, then of how much inside, with shift x, y, and with scale
            and rotation about the center times radius.
        outer: float32 (N, 16): products of each point's jacobian with itself, summed over colours.
        weight: float32 (N,).
        center: float32 (2,) [work px].
        radius: Typical distance of the template points from the center [work px].
    """

    points: NDArray[np.float32]
    color: NDArray[np.float32]
    target: NDArray[np.float32]
    jacobian: NDArray[np.float32]
    outer: NDArray[np.float32]
    weight: NDArray[np.float32]
    center: NDArray[np.float32]
    radius: float

    @property
    def template(self) -> NDArray[np.float32]:
        """Template points, (T, 2) [work px]."""
        return self.points[:TEMPLATE_POINTS]

    @property
    def template_weight(self) -> NDArray[np.float32]:
        """Weights of the template points, (T,)."""
        return self.weight[:TEMPLATE_POINTS]


def alignment_points(
    color: NDArray[np.uint8],
    distance: NDArray[np.float32],
    usable: NDArray[np.bool_],
    corner: tuple[int, int],
    color_trust: float,
    tuning: TemplateTuning,
) -> AlignmentPoints | None:
    """Choose the points of an object that fix its place.

    Args:
        color: uint8 (h, w, 3): crop of the keyframe.
        distance: float32 (h, w): signed distance to the object's border [fine px].
        usable: bool (h, w): where the keyframe shows the object or what is around it.
        corner: (x, y) of the crop [work px].
        color_trust: How well colours tell the object from its surroundings, 0 to 1: weight of the outline points.
        tuning: How.

    Returns:
        None where fewer than `TemplateTuning.least_points` are usable.
    """
    part = _surroundings(distance, tuning)
    color, distance, usable = color[part], distance[part], usable[part]
    corner = corner[0] + part[1].start, corner[1] + part[0].start
    template = _template_pixels(color, distance, usable, tuning)
    if template is None:
        return None
    row, column, dx, dy = template
    points = np.stack([column, row], 1).astype(np.float32) + np.asarray(corner, np.float32)
    center = points.mean(0)
    radius = max(float(np.sqrt(((points - center) ** 2).sum(1).mean())), tuning.least_radius_px)
    jacobian = _padded(_similarity_jacobian(dx, dy, (points - center) / radius), TEMPLATE_POINTS)
    weight = np.where(distance[row, column] > 0, np.float32(1), np.float32(tuning.ring_weight))
    outline, target, outline_jacobian = _outline_points(distance, usable, corner, center, radius, tuning)
    outline_weight = np.full(len(outline), color_trust, np.float32)
    outline_jacobian = _padded(outline_jacobian, OUTLINE_POINTS)
    products = jacobian.swapaxes(1, 2) @ jacobian, outline_jacobian[:, :, None] * outline_jacobian[:, None]
    return AlignmentPoints(
        points=np.concatenate([_padded(points, TEMPLATE_POINTS), _padded(outline, OUTLINE_POINTS)]),
        color=_padded(color[row, column].astype(np.float32), TEMPLATE_POINTS),
        target=_padded(target, OUTLINE_POINTS),
        jacobian=np.concatenate([jacobian.reshape(-1, 4), outline_jacobian]),
        outer=np.concatenate(products).reshape(-1, 16),
        weight=np.concatenate([_padded(weight, TEMPLATE_POINTS), _padded(outline_weight, OUTLINE_POINTS)]),
        center=center,
        radius=radius,
    )


def _template_pixels(
    color: NDArray[np.uint8], distance: NDArray[np.float32], usable: NDArray[np.bool_], tuning: TemplateTuning
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]] | None:
    """Row and column of the template points (T,), and how their colours change along x and y, (T, 3) each."""
    available = np.flatnonzero((distance > -tuning.ring_px) & usable)
    if len(available) < tuning.least_points:
        return None
    row, column = np.divmod(available[_spread(len(available), tuning.candidate_points)], distance.shape[1])
    dx, dy = _gradient(color, row, column)
    chosen = _choose(np.abs(dx).sum(1) + np.abs(dy).sum(1), tuning.textured_share)
    return row[chosen], column[chosen], dx[chosen], dy[chosen]


def _surroundings(distance: NDArray[np.float32], tuning: TemplateTuning) -> tuple[slice, slice]:
    """Index of the part of a crop where points may lie, and a pixel more for gradients."""
    near = (distance > -max(tuning.outline_band_px, tuning.ring_px) - 2 * FINE).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(near)
    return slice(y, y + height), slice(x, x + width)


def _outline_points(
    distance: NDArray[np.float32],
    usable: NDArray[np.bool_],
    corner: tuple[int, int],
    center: NDArray[np.float32],
    radius: float,
    tuning: TemplateTuning,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Points near the border (M, 2), how much inside each is (M,), and the change of that with the pose (M, 4)."""
    available = np.flatnonzero((np.abs(distance) < tuning.outline_band_px) & usable)
    rows, columns = np.divmod(available[_spread(len(available), OUTLINE_POINTS)], distance.shape[1])
    softness_px = tuning.outline_softness_px
    inside = 0.5 + 0.5 * np.tanh(distance[rows, columns] / (2 * softness_px))
    slope = (inside * (1 - inside) / softness_px)[:, None]
    dx, dy = _gradient(distance[..., None], rows, columns)
    points = np.stack([columns, rows], 1).astype(np.float32) + np.asarray(corner, np.float32)
    jacobian = _similarity_jacobian(dx * slope, dy * slope, (points - center) / radius)
    return points, inside, jacobian[:, 0]


def _gradient(
    image: NDArray[np.uint8] | NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Change per pixel along x and y at some pixels of an image (h, w, C); (N, C) each."""
    above, below = np.maximum(rows - 1, 0), np.minimum(rows + 1, image.shape[0] - 1)
    left, right = np.maximum(columns - 1, 0), np.minimum(columns + 1, image.shape[1] - 1)
    dx = image[rows, right].astype(np.float32) - image[rows, left]
    dy = image[below, columns].astype(np.float32) - image[above, columns]
    return 0.5 * dx, 0.5 * dy


def _similarity_jacobian(
    dx: NDArray[np.float32], dy: NDArray[np.float32], offset: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Change of (N, C) values with shift x, shift y, growth and rotation; offset (N, 2) from the center; (N, C, 4)."""
    x, y = offset[:, :1], offset[:, 1:]
    return np.stack([dx, dy, dx * x + dy * y, dy * x - dx * y], -1)


def _choose(strength: NDArray[np.float32], strong_share: float) -> NDArray[np.intp]:
    """Indices of the template points: a share of them the strongest, the others spread over the rest."""
    count = TEMPLATE_POINTS
    if len(strength) <= count:
        return np.arange(len(strength))
    strong_count = int(count * strong_share)
    order = np.argpartition(-strength, strong_count)
    rest = np.sort(order[strong_count:])
    return np.concatenate([order[:strong_count], rest[_spread(len(rest), count - strong_count)]])


def _spread(available: int, count: int) -> NDArray[np.intp]:
    """At most `count` indices spread evenly over `available`."""
    if available <= count:
        return np.arange(available)
    return ((np.arange(count) + 0.5) * (available / max(count, 1))).astype(np.intp)


def _padded(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Zeros appended up to `count` rows."""
    out = np.zeros((count, *values.shape[1:]), np.float32)
    out[: len(values)] = values
    return out
