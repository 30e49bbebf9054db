"""Where is each object now? All objects at once are aligned from their keyframe to the current frame.

Inverse-compositional Gauss-Newton (Baker and Matthews, "Lucas-Kanade 20 Years On", IJCV 2004) over similarity
transforms, with two kinds of rows: colour differences at template points, and, like region-based trackers, the colour
posterior at outline points against how much inside those points are. Every frame is aligned to the keyframe itself,
never to the frame before it, so that errors do not add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.alignment_points import INNER_WEIGHT
from samlite_ros.streaming.appearance import ObjectModel
from samlite_ros.streaming.flow import WorkImage
from samlite_ros.streaming.geometry import Poses, compose, invert, scale_of, transform

COVERED_WEIGHT = 0.05
"""Weight of points that lay under another object in the last answer."""
INLIER_LEVELS = 14.0
"""A template point agrees where its colour differs by less [levels of 255]."""
OUTLINE_AMPLITUDE, OUTLINE_SCALE, OUTLINE_COST = 40.0, 0.5, 20.0
"""Outline rows: weight against colour rows, robust scale, and share in the cost."""
DAMPING = np.diag([1e-3, 1e-3, 2e-2, 2e-2]).astype(np.float32)
LEAST_STIFFNESS = 50 * np.eye(4, dtype=np.float32)
STEP_LIMIT_PX = 6.0
GROWTH_LIMIT, SHIFT_LIMIT_PX = 0.18, 10.0
"""An alignment that goes farther from its start is not believed."""
LEAST_VISIBLE_POINTS = 15
LEAST_SHARE = 0.21
"""... nor one where fewer of the template points agree."""
REJECTED_COST, SUPPORT_GAIN = 10.0, 15.0
"""Of several alignments the cheapest is chosen: what one costs that is not believed, and what it gains where all the
colours in sight are the object's [levels]."""
THIRDS = np.full(3, 1 / 3, np.float32)


@dataclass(frozen=True, eq=False)
class AlignmentBatch:
    """The alignment points of K objects stacked; see `AlignmentPoints` for the fields."""

    points: NDArray[np.float32]
    color: NDArray[np.float32]
    jacobian: NDArray[np.float32]
    weight: NDArray[np.float32]
    outline: NDArray[np.float32]
    target: NDArray[np.float32]
    outline_jacobian: NDArray[np.float32]
    outline_weight: NDArray[np.float32]
    probability: NDArray[np.float32]
    center: NDArray[np.float32]
    radius: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: Sequence[int]) -> AlignmentBatch:
        """Some of the objects, repeats allowed."""
        index = np.asarray(rows, np.intp)
        return AlignmentBatch(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


def stack(models: Sequence[ObjectModel]) -> AlignmentBatch:
    """Stack objects that have alignment points.

    Raises:
        ValueError: One of them has none.
    """
    points = [m.alignment for m in models if m.alignment is not None]
    if len(points) != len(models):
        raise ValueError(f"{len(models) - len(points)} of {len(models)} objects have no alignment points")
    return AlignmentBatch(
        points=np.stack([p.points for p in points]),
        color=np.stack([p.color for p in points]),
        jacobian=np.stack([p.jacobian for p in points]),
        weight=np.stack([p.weight for p in points]),
        outline=np.stack([p.outline for p in points]),
        target=np.stack([p.target for p in points]),
        outline_jacobian=np.stack([p.outline_jacobian for p in points]),
        outline_weight=np.stack(
            [p.outline_weight * np.float32(m.colors.trust) for p, m in zip(points, models, strict=True)]
        ),
        probability=np.stack([m.colors.probability for m in models]),
        center=np.stack([p.center for p in points]),
        radius=np.array([p.radius for p in points], np.float32),
    )


@dataclass(frozen=True, eq=False)
class Covering:
    """Who covered what in the last answer.

    Args:
        owner: int16 (h, w): number of the object that owns each work pixel, 0 = none.
        hides: bool (K, numbers): whether the object of that number hides object k.
    """

    owner: NDArray[np.int16]
    hides: NDArray[np.bool_]

    def take(self, rows: Sequence[int]) -> Covering:
        """For some of the objects, repeats allowed."""
        return Covering(self.owner, self.hides[np.asarray(rows, np.intp)])

    def at(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether points (K, N, 2) lay under another object, bool (K, N)."""
        x, y = _nearest(points, self.owner.shape)
        return self.hides[np.arange(len(points))[:, None], self.owner[y, x]]


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where K objects are.

    Args:
        poses: float32 (K, 2, 3): keyframe to current frame [work px].
        cost: float32 (K,): mean difference [levels]; outline disagreement included.
        share: float32 (K,): weighted share of all template points that agree.
        agreement: float32 (K,): weighted share of those in sight that agree; 1 where next to none is in sight.
        inliers: bool (K, 96): which.
        rejected: bool (K,): the alignment is not believed; the pose is the start.
        support: float32 (K,): how much the colours at the inner points in sight are the object's, 0 to 1.
    """

    poses: Poses
    cost: NDArray[np.float32]
    share: NDArray[np.float32]
    agreement: NDArray[np.float32]
    inliers: NDArray[np.bool_]
    rejected: NDArray[np.bool_]
    support: NDArray[np.float32]

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> Alignment:
        """Some of the objects."""
        index = np.asarray(rows, np.intp)
        return Alignment(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})

    def replace_rows(self, rows: NDArray[np.intp], other: Alignment) -> Alignment:
        """The same with some objects' rows taken from another alignment."""
        fields = {name: getattr(self, name).copy() for name in self.__dataclass_fields__}
        for name, values in fields.items():
            values[rows] = getattr(other, name)
        return Alignment(**fields)

    def best_per_object(self, object_of_row: Sequence[int], advantage: float = 0.2) -> Alignment:
        """Of several starts per object the cheapest; a later row must be cheaper by `advantage`.

        Args:
            object_of_row: Object of each row; every object 0..K-1 occurs.
        """
        penalised = self.cost + REJECTED_COST * self.rejected - SUPPORT_GAIN * self.support
        best: dict[int, int] = {}
        for row, number in enumerate(object_of_row):
            if number not in best or penalised[row] < penalised[best[number]] - advantage:
                best[number] = row
        return self.take([best[number] for number in range(len(best))])


@dataclass(frozen=True, eq=False)
class _Residuals:
    """How well some poses fit; K objects."""

    color: NDArray[np.float32]  # (K, N, 3)
    magnitude: NDArray[np.float32]  # (K, N)
    weight: NDArray[np.float32]  # (K, N)
    outline: NDArray[np.float32]  # (K, M)
    outline_weight: NDArray[np.float32]  # (K, M)
    color_cost: NDArray[np.float32]  # (K,)
    cost: NDArray[np.float32]  # (K,)


def align(
    image: WorkImage, batch: AlignmentBatch, start: Poses, iterations: int, covering: Covering | None
) -> Alignment:
    """Align K objects to an image.

    Args:
        image: The current frame.
        batch: The objects.
        start: float32 (K, 2, 3): where to start from.
        iterations: Gauss-Newton steps.
        covering: What hides the objects; None = nothing known.

    Returns:
        The cheapest of the poses visited, for each object.
    """
    points = transform(start, batch.points)
    point_weight, outline_weight, visible = _visibility(batch, start, points, image.size, covering)
    poses, residuals = start, _residuals(image, batch, start, point_weight, outline_weight)
    best_poses, best = poses, residuals
    for _ in range(iterations):
        poses = _improve(batch, poses, residuals)
        residuals = _residuals(image, batch, poses, point_weight, outline_weight)
        better = residuals.cost < best.cost - 1e-3
        best_poses, best = np.where(better[:, None, None], poses, best_poses), _where(better, residuals, best)
    agrees = best.magnitude < INLIER_LEVELS
    agreeing, in_sight = (agrees * best.weight).sum(1), best.weight.sum(1)
    share = agreeing / (batch.weight.sum(1) + np.float32(1e-6))
    rejected = _is_far_off(batch, start, best_poses) | (visible < LEAST_VISIBLE_POINTS) | (share < LEAST_SHARE)
    poses = np.where(rejected[:, None, None], start, best_poses)
    return Alignment(
        poses=poses,
        cost=best.cost,
        share=share,
        agreement=(agreeing + 1) / (in_sight + 1),
        inliers=agrees & (best.weight > 0),
        rejected=rejected,
        support=_support(image, batch, poses, point_weight),
    )


def _visibility(
    batch: AlignmentBatch,
    start: Poses,
    points: NDArray[np.float32],
    size: tuple[int, int],
    covering: Covering | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """Weights of points that another object covers, (K, N) and (K, M), and how many template points are in sight."""
    if covering is None:
        used = _in_image(points, size) & (batch.weight > 0)
        return batch.weight, batch.outline_weight, used.sum(1)
    covered = covering.at(points)
    outline_covered = covering.at(transform(start, batch.outline))
    low = np.float32(COVERED_WEIGHT)
    used = _in_image(points, size) & (batch.weight > 0) & ~covered
    return (
        np.where(covered, low, np.float32(1)) * batch.weight,
        np.where(outline_covered, low, np.float32(1)) * batch.outline_weight,
        used.sum(1),
    )


def _residuals(
    image: WorkImage,
    batch: AlignmentBatch,
    poses: Poses,
    point_weight: NDArray[np.float32],
    outline_weight: NDArray[np.float32],
) -> _Residuals:
    points = transform(poses, batch.points)
    weight = point_weight * _in_image(points, image.size)
    seen = cv2.remap(
        image.color,
        np.ascontiguousarray(points[..., 0]),
        np.ascontiguousarray(points[..., 1]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    color = np.clip(seen.astype(np.float32) - batch.color, -80, 80)
    magnitude = np.abs(color) @ THIRDS
    outline_points = transform(poses, batch.outline)
    x, y = _nearest(outline_points, image.size)
    posterior = batch.probability[np.arange(len(batch))[:, None], image.color_index[y, x]]
    outline = posterior - batch.target
    outline_weight = outline_weight * _in_image(outline_points, image.size)
    color_cost = (np.minimum(magnitude, 30) * weight).sum(1) / (weight.sum(1) + np.float32(1e-6))
    outline_cost = (np.abs(outline) * outline_weight).sum(1) / (outline_weight.sum(1) + np.float32(1e-3))
    cost = color_cost + np.float32(OUTLINE_COST) * outline_cost
    return _Residuals(color, magnitude, weight, outline, outline_weight, color_cost, cost)


def _improve(batch: AlignmentBatch, poses: Poses, residuals: _Residuals) -> Poses:
    """One Gauss-Newton step."""
    count = len(batch)
    scale = np.clip(residuals.color_cost * 1.2, 5, 12)[:, None]
    weight = residuals.weight / (1 + (residuals.magnitude / scale) ** 2) ** 2
    jacobian = batch.jacobian.reshape(count, -1, 4)
    weighted = (batch.jacobian * weight[:, :, None, None]).reshape(count, -1, 4).transpose(0, 2, 1)
    hessian = weighted @ jacobian
    gradient = weighted @ residuals.color.reshape(count, -1, 1)
    outline_weight = residuals.outline_weight * np.float32(OUTLINE_AMPLITUDE**2)
    outline_weight = outline_weight / (1 + (residuals.outline / np.float32(OUTLINE_SCALE)) ** 2) ** 2
    weighted = (batch.outline_jacobian * outline_weight[..., None]).transpose(0, 2, 1)
    hessian = hessian + weighted @ batch.outline_jacobian
    gradient = gradient + weighted @ residuals.outline[..., None]
    stiffness = (hessian[:, 0, 0] + hessian[:, 1, 1])[:, None, None] * DAMPING
    step = np.linalg.solve(hessian + stiffness + LEAST_STIFFNESS, gradient)[..., 0]
    length = np.hypot(step[:, 0], step[:, 1])
    step *= np.minimum(1, STEP_LIMIT_PX / np.maximum(length, 1e-6))[:, None]
    return compose(poses, invert(_increment(step.astype(np.float32), batch.center, batch.radius)))


def _increment(step: NDArray[np.float32], center: NDArray[np.float32], radius: NDArray[np.float32]) -> Poses:
    """Transforms (K, 2, 3) of steps (K, 4): shift x, shift y, growth and rotation about the center."""
    growth, turn = 1 + step[:, 2] / radius, step[:, 3] / radius
    out = np.empty((len(step), 2, 3), np.float32)
    out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = growth, -turn, turn, growth
    out[:, :, 2] = center + step[:, :2] - (out[:, :, :2] @ center[..., None])[..., 0]
    return out


def _is_far_off(batch: AlignmentBatch, start: Poses, poses: Poses) -> NDArray[np.bool_]:
    """Which poses went too far from where they started, bool (K,)."""
    growth = scale_of(poses) / scale_of(start)
    center = batch.center[:, None]
    shift = (transform(poses, center) - transform(start, center))[:, 0]
    far: NDArray[np.bool_] = (
        (growth < 1 / (1 + GROWTH_LIMIT))
        | (growth > 1 + GROWTH_LIMIT)
        | (np.hypot(shift[:, 0], shift[:, 1]) > SHIFT_LIMIT_PX)
    )
    return far


def _support(
    image: WorkImage, batch: AlignmentBatch, poses: Poses, point_weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How much the colours at the inner points in sight are the objects', (K,); 0.5 where none is in sight."""
    points = transform(poses, batch.points)
    used = _in_image(points, image.size) & (point_weight > INNER_WEIGHT)
    x, y = _nearest(points, image.size)
    posterior = batch.probability[np.arange(len(batch))[:, None], image.color_index[y, x]]
    return np.asarray(((posterior * used).sum(1) + 0.5) / (used.sum(1) + 1), np.float32)


def _where(choose: NDArray[np.bool_], a: _Residuals, b: _Residuals) -> _Residuals:
    """Per object the residuals of `a` or of `b`."""

    def pick(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(choose.reshape((-1,) + (1,) * (x.ndim - 1)), x, y)

    return _Residuals(**{name: pick(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__})


def _in_image(points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    x, y = points[..., 0], points[..., 1]
    return (x >= 0) & (x <= size[1] - 1) & (y >= 0) & (y <= size[0] - 1)


def _nearest(points: NDArray[np.float32], size: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Column and row of the nearest pixel, kept inside the image."""
    rounded = np.rint(points)
    x = np.clip(rounded[..., 0], 0, size[1] - 1).astype(np.intp)
    y = np.clip(rounded[..., 1], 0, size[0] - 1).astype(np.intp)
    return x, y
