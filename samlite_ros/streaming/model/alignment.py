"""Where is each object now? All objects at once are aligned from their keyframe to the current frame.

Inverse-compositional Gauss-Newton (Baker and Matthews, "Lucas-Kanade 20 Years On", IJCV 2004) over similarity
transforms, with two kinds of rows: colour differences at template points, and, like region-based trackers, the colour
posterior at outline points against how much inside those points are. Every frame is aligned to the keyframe itself,
never to the frame before it, so that errors do not add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.frame_images import NO_MAP
from samlite_ros.streaming.image.geometry import Poses, compose, invert, scale_of, transform
from samlite_ros.streaming.image.work_image import WorkImage
from samlite_ros.streaming.model.alignment_points import TEMPLATE_POINTS
from samlite_ros.streaming.model.appearance import AppearanceModel
from samlite_ros.streaming.tuning import AlignmentTuning
from samlite_ros.streaming.tuning.model import INNER_WEIGHT

THIRDS = np.full(3, 1 / 3, np.float32)
LEAST_GAIN = 1e-3
"""A pose is cheaper than another by more than rounding [levels]."""


@dataclass(frozen=True, eq=False)
class AlignmentBatch:
    """The alignment points of K objects stacked: see `AlignmentPoints` for the fields, which have K in front here.

    Args:
        probability: float32 (K, 4096): by colour, that it is the object's.
    """

    points: NDArray[np.float32]
    color: NDArray[np.float32]
    target: NDArray[np.float32]
    jacobian: NDArray[np.float32]
    outer: NDArray[np.float32]
    weight: NDArray[np.float32]
    probability: NDArray[np.float32]
    center: NDArray[np.float32]
    radius: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def template(self) -> NDArray[np.float32]:
        """Template points (K, T, 2) [work px]."""
        return self.points[:, :TEMPLATE_POINTS]

    @property
    def template_weight(self) -> NDArray[np.float32]:
        """Weights of the template points, (K, T)."""
        return self.weight[:, :TEMPLATE_POINTS]

    def take(self, rows: Sequence[int]) -> AlignmentBatch:
        """Some of the objects, repeats allowed."""
        index = np.asarray(rows, np.intp)
        return AlignmentBatch(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


def stack(models: Sequence[AppearanceModel]) -> AlignmentBatch:
    """Stack objects that have alignment points.

    Raises:
        ValueError: One of them has none.
    """
    points = [m.alignment for m in models if m.alignment is not None]
    if len(points) != len(models):
        raise ValueError(f"{len(models) - len(points)} of {len(models)} objects have no alignment points")
    return AlignmentBatch(
        points=_stacked([p.points for p in points]),
        color=_stacked([p.color for p in points]),
        target=_stacked([p.target for p in points]),
        jacobian=_stacked([p.jacobian for p in points]),
        outer=_stacked([p.outer for p in points]),
        weight=_stacked([p.weight for p in points]),
        probability=_stacked([m.colors.probability for m in models]),
        center=_stacked([p.center for p in points]),
        radius=np.array([p.radius for p in points], np.float32),
    )


def _stacked(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """As np.stack, which takes long for a few small arrays."""
    return np.concatenate(rows).reshape(len(rows), *rows[0].shape)


@dataclass(frozen=True, eq=False)
class Occlusion:
    """Who covered what in the last answer.

    Args:
        owner: int16 (h, w): number of the object that owns each work pixel, 0 = none.
        occludes: bool (K, numbers): whether the object of that number occludes object k.
    """

    owner: NDArray[np.int16]
    occludes: NDArray[np.bool_]

    def take(self, rows: Sequence[int]) -> Occlusion:
        """For some of the objects, repeats allowed."""
        return Occlusion(self.owner, self.occludes[np.asarray(rows, np.intp)])

    def at(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether points (K, N, 2) lay under another object, bool (K, N)."""
        under: NDArray[np.bool_] = self.occludes[np.arange(len(points))[:, None], _nearest(self.owner, points)]
        return under


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where K objects are.

    Args:
        poses: float32 (K, 2, 3): keyframe to current frame [work px].
        cost: float32 (K,): mean difference [levels]; outline disagreement included.
        inlier_share: float32 (K,): weighted share of all template points that agree.
        agreement: float32 (K,): weighted share of those in sight that agree; 1 where next to none is in sight.
        inliers: bool (K, 96): which.
        rejected: bool (K,): the alignment is not believed; the pose is the start.
        support: float32 (K,): how much the colours at the inner points in sight are the object's, 0 to 1.
    """

    poses: Poses
    cost: NDArray[np.float32]
    inlier_share: NDArray[np.float32]
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

    def best_per_object(self, object_of_row: Sequence[int], tuning: AlignmentTuning) -> Alignment:
        """Of several starts per object the cheapest; a later row must be cheaper by some advantage.

        Args:
            object_of_row: Object of each row; every object 0..K-1 occurs.
            tuning: What the advantage is, and what else counts.
        """
        penalised = self.cost + tuning.rejected_cost * self.rejected - tuning.support_gain * self.support
        best: dict[int, int] = {}
        for row, number in enumerate(object_of_row):
            if number not in best or penalised[row] < penalised[best[number]] - tuning.start_advantage:
                best[number] = row
        return self.take([best[number] for number in range(len(best))])


@dataclass(frozen=True, eq=False)
class _Residuals:
    """How well some poses fit; K objects, T template points, M outline points."""

    color: NDArray[np.float32]  # (K, T, 3)
    magnitude: NDArray[np.float32]  # (K, T)
    outline: NDArray[np.float32]  # (K, M)
    weight: NDArray[np.float32]  # (K, T + M)
    color_cost: NDArray[np.float32]  # (K,)
    cost: NDArray[np.float32]  # (K,)


def align(
    image: WorkImage,
    batch: AlignmentBatch,
    start: Poses,
    iterations: int,
    occlusion: Occlusion | None,
    tuning: AlignmentTuning,
) -> Alignment:
    """Align K objects to an image.

    Args:
        image: The current frame.
        batch: The objects.
        start: float32 (K, 2, 3): where to start from.
        iterations: Gauss-Newton steps.
        occlusion: What occludes the objects; None = nothing known.
        tuning: How.

    Returns:
        The cheapest of the poses visited, for each object.
    """
    points = transform(start, batch.points)
    weight, visible = _visibility(batch, points, image.size, occlusion, tuning)
    residuals = _residuals(image, batch, points, weight, tuning)
    poses, best_poses, best_cost = start, start, residuals.cost
    magnitude, best_weight = residuals.magnitude, residuals.weight[:, :TEMPLATE_POINTS]
    for _ in range(iterations):
        poses = _improve(batch, poses, residuals, tuning)
        residuals = _residuals(image, batch, transform(poses, batch.points), weight, tuning)
        better = residuals.cost < best_cost - LEAST_GAIN
        best_poses = np.where(better[:, None, None], poses, best_poses)
        best_cost = np.where(better, residuals.cost, best_cost)
        magnitude = np.where(better[:, None], residuals.magnitude, magnitude)
        best_weight = np.where(better[:, None], residuals.weight[:, :TEMPLATE_POINTS], best_weight)
    agrees = magnitude < tuning.inlier_levels
    agreeing, in_sight = (agrees * best_weight).sum(1), best_weight.sum(1)
    share = agreeing / (batch.template_weight.sum(1) + np.float32(1e-6))
    too_few = (visible < tuning.least_visible_points) | (share < tuning.least_inlier_share)
    rejected = _is_far_off(batch, start, best_poses, tuning) | too_few
    poses = np.where(rejected[:, None, None], start, best_poses)
    return Alignment(
        poses=poses,
        cost=best_cost,
        inlier_share=share,
        agreement=(agreeing + 1) / (in_sight + 1),
        inliers=agrees & (best_weight > 0),
        rejected=rejected,
        support=_support(image, batch, poses, weight[:, :TEMPLATE_POINTS]),
    )


def align_best(
    image: WorkImage,
    batch: AlignmentBatch,
    rows: Sequence[int],
    starts: Poses,
    iterations: int,
    occlusion: Occlusion | None,
    tuning: AlignmentTuning,
) -> Alignment:
    """The best alignment of each of K objects over all its starting poses.

    Args:
        image: The current frame.
        batch: The objects.
        rows: Which object each start is of; begins with 0 to K - 1.
        starts: float32 (R, 2, 3): where to start from.
        iterations: Gauss-Newton steps.
        occlusion: What occludes the objects; None = nothing known.
        tuning: How.
    """
    if len(rows) > len(batch):
        batch, occlusion = batch.take(rows), occlusion.take(rows) if occlusion is not None else None
    return align(image, batch, starts, iterations, occlusion, tuning).best_per_object(rows, tuning)


def _visibility(
    batch: AlignmentBatch,
    points: NDArray[np.float32],
    size: tuple[int, int],
    occlusion: Occlusion | None,
    tuning: AlignmentTuning,
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Weights of all points (K, N), little where another object covers them, and how many template points are seen."""
    seen = _in_image(points[:, :TEMPLATE_POINTS], size) & (batch.template_weight > 0)
    if occlusion is None:
        return batch.weight, seen.sum(1)
    covered = occlusion.at(points)
    seen &= ~covered[:, :TEMPLATE_POINTS]
    return np.where(covered, np.float32(tuning.occluded_weight), np.float32(1)) * batch.weight, seen.sum(1)


def _residuals(
    image: WorkImage,
    batch: AlignmentBatch,
    points: NDArray[np.float32],
    weight: NDArray[np.float32],
    tuning: AlignmentTuning,
) -> _Residuals:
    """How the image differs from the objects at their points, moved to (K, N, 2), with weights (K, N)."""
    template, outline_points = points[:, :TEMPLATE_POINTS], points[:, TEMPLATE_POINTS:]
    weight = weight * _in_image(points, image.size)
    color_weight, outline_weight = weight[:, :TEMPLATE_POINTS], weight[:, TEMPLATE_POINTS:]
    seen = cv2.remap(image.color, template, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    color, most = seen - batch.color, tuning.most_difference
    np.minimum(np.maximum(color, -most, out=color), most, out=color)
    magnitude = np.abs(color) @ THIRDS
    outline = _posterior(image, batch, outline_points) - batch.target
    unseen = np.float32(tuning.unseen_weight) * batch.template_weight.sum(1)
    color_cost = (np.minimum(magnitude, np.float32(tuning.cost_limit)) * color_weight).sum(1)
    color_cost += np.float32(tuning.unseen_cost) * unseen
    color_cost /= color_weight.sum(1) + unseen + np.float32(1e-6)
    outline_cost = (np.abs(outline) * outline_weight).sum(1) / (outline_weight.sum(1) + np.float32(1e-3))
    cost = color_cost + np.float32(tuning.outline_cost) * outline_cost
    return _Residuals(color, magnitude, outline, weight, color_cost, cost)


def _posterior(image: WorkImage, batch: AlignmentBatch, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability by the colour at points (K, P, 2) that they are the object's, (K, P)."""
    color_index = _nearest(image.color_index, points)
    color_index = color_index + np.arange(len(batch))[:, None] * batch.probability.shape[1]
    probability: NDArray[np.float32] = batch.probability.ravel().take(color_index)
    return probability


def _improve(batch: AlignmentBatch, poses: Poses, residuals: _Residuals, tuning: AlignmentTuning) -> Poses:
    """One Gauss-Newton step."""
    scale = np.maximum(residuals.color_cost * tuning.residual_scale, tuning.least_scale)
    scale = np.minimum(scale, tuning.most_scale)[:, None]
    weight = residuals.weight.copy()
    template, outline = weight[:, :TEMPLATE_POINTS], weight[:, TEMPLATE_POINTS:]
    template /= np.square(1 + np.square(residuals.magnitude / scale))
    outline *= np.float32(tuning.outline_amplitude**2)
    outline /= np.square(1 + np.square(residuals.outline * np.float32(1 / tuning.outline_scale)))
    hessian = (weight[:, None] @ batch.outer).reshape(-1, 4, 4)
    colors = (residuals.color * template[..., None]).reshape(len(batch), -1)
    weighted = np.concatenate([colors, residuals.outline * outline], 1)
    gradient = weighted[:, None] @ batch.jacobian
    stiffness = (hessian[:, 0, 0] + hessian[:, 1, 1])[:, None, None] * tuning.damping
    step = np.linalg.solve(hessian + stiffness + tuning.stiffness, gradient.swapaxes(1, 2))[..., 0]
    length = np.hypot(step[:, 0], step[:, 1])
    step *= np.minimum(1, tuning.step_limit_px / np.maximum(length, 1e-6))[:, None]
    return compose(poses, invert(_increment(step.astype(np.float32), batch.center, batch.radius)))


def _increment(step: NDArray[np.float32], center: NDArray[np.float32], radius: NDArray[np.float32]) -> Poses:
    """Transforms (K, 2, 3) of steps (K, 4): shift x, shift y, growth and rotation about the center."""
    growth, turn = 1 + step[:, 2] / radius, step[:, 3] / radius
    out = np.empty((len(step), 2, 3), np.float32)
    out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = growth, -turn, turn, growth
    out[:, :, 2] = center + step[:, :2] - (out[:, :, :2] @ center[..., None])[..., 0]
    return out


def _is_far_off(batch: AlignmentBatch, start: Poses, poses: Poses, tuning: AlignmentTuning) -> NDArray[np.bool_]:
    """Which poses went too far from where they started, bool (K,)."""
    growth = scale_of(poses) / scale_of(start)
    center = batch.center[:, None]
    shift = (transform(poses, center) - transform(start, center))[:, 0]
    most_growth = 1 + tuning.growth_limit
    far: NDArray[np.bool_] = (
        (growth < 1 / most_growth)
        | (growth > most_growth)
        | (np.hypot(shift[:, 0], shift[:, 1]) > tuning.shift_limit_px)
    )
    return far


def _support(image: WorkImage, batch: AlignmentBatch, poses: Poses, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much the colours at the inner template points in sight are the objects', (K,); 0.5 where none is in sight.

    The weights (K, T) are those of `_visibility`.
    """
    points = transform(poses, batch.template)
    used = _in_image(points, image.size) & (weight > INNER_WEIGHT)
    posterior = _posterior(image, batch, points)
    return np.asarray(((posterior * used).sum(1) + 0.5) / (used.sum(1) + 1), np.float32)


def _in_image(points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    x, y = points[..., 0], points[..., 1]
    return (x >= 0) & (x <= size[1] - 1) & (y >= 0) & (y <= size[0] - 1)


def _nearest(values: NDArray[Any], points: NDArray[np.float32]) -> NDArray[Any]:
    """Values (h, w) at the nearest pixels of points (K, P, 2), (K, P); outside the image those of its border."""
    return cv2.remap(values, points, NO_MAP, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
