"""What is known of an object from one keyframe: shape, colours, and the points that it is aligned with.

Signed distances are in fine pixels (half a work pixel), positive inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.geometry import Poses, compose, invert, moved_box, translation, window_pose
from samlite_ros.streaming.image.work_image import FINE, histogram
from samlite_ros.streaming.model.alignment_points import AlignmentPoints, alignment_points
from samlite_ros.streaming.model.keyframe import KeyframeMask, PaddedKeyframe
from samlite_ros.streaming.tuning import AppearanceTuning, ColorTuning, Tuning
from samlite_ros.streaming.tuning.model import INNER_WEIGHT

FAR_OUTSIDE = -30.0
"""Signed distance where nothing of the object can be [fine px]."""


@dataclass(frozen=True, eq=False)
class ColorModel:
    """Colour as evidence for one object.

    Args:
        log_odds: float32 (4096,): by colour index; positive = the object's colour. Already scaled by `trust`.
        probability: float32 (4096,): the same as a probability.
        trust: 0 = the colours do not tell the object from its surroundings, 1 = they do.
    """

    log_odds: NDArray[np.float32]
    probability: NDArray[np.float32]
    trust: float


@dataclass(frozen=True, eq=False)
class AppearanceModel:
    """One object as it looked in a keyframe; arrays cover a crop of the padded keyframe.

    Args:
        corner: (x, y) of the crop [work px]; may be negative.
        color: uint8 (h, w, 3).
        distance: float32 (h, w): signed distance to the border [fine px].
        amodal_distance: float32 (h, w): the same to the border of all that may belong to it: more than `distance`
            where it was known to go on before something hid it.
        unobserved: float32 (h, w): 1 where the object may go on unseen: outside the image, behind another instance, in
            holes, where it went on before; None = nowhere near.
        box_xyxy: Bounds in the keyframe [work px].
        touches_border: The image border cuts it.
        growth_px: How far beyond the box it may grow [work px]: by entering the image, ...
        reappearance_px: ... and by coming out from behind something.
        colors: Colour evidence.
        histogram: Its colours.
        alignment: None where too little of it is seen.
    """

    corner: tuple[int, int]
    color: NDArray[np.uint8]
    distance: NDArray[np.float32]
    amodal_distance: NDArray[np.float32]
    unobserved: NDArray[np.float32] | None
    box_xyxy: tuple[int, int, int, int]
    touches_border: bool
    growth_px: int
    reappearance_px: int
    colors: ColorModel
    histogram: NDArray[np.float32]
    alignment: AlignmentPoints | None

    @property
    def center(self) -> NDArray[np.float32]:
        """Where it was in the keyframe [work px]."""
        if self.alignment is not None:
            return self.alignment.center
        x0, y0, x1, y1 = self.box_xyxy
        return np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32)

    @cached_property
    def area_px(self) -> int:
        """Its area in the keyframe [work px]."""
        return int(np.count_nonzero(self.distance > 0))

    @property
    def inner_points(self) -> NDArray[np.float32]:
        """Template points inside it, (N, 2) [work px]; none where it cannot be aligned."""
        if self.alignment is None:
            return np.zeros((0, 2), np.float32)
        return self.alignment.template[self.alignment.template_weight > INNER_WEIGHT]

    def shape_at(self, pose: Poses, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Where it is in an image of size (h, w) [work px] at a pose (2, 3), bool (h, w)."""
        to_image = compose(pose, translation(np.asarray(self.corner)))
        moved = cv2.warpAffine(self.distance, to_image, size[::-1], flags=cv2.INTER_LINEAR, borderValue=FAR_OUTSIDE)
        return np.asarray(moved > 0)


@dataclass(frozen=True, eq=False)
class Prior:
    """What was known of an object before a keyframe.

    Args:
        model: From an earlier keyframe.
        pose: (2, 3): where it was in this one [work px].
    """

    model: AppearanceModel
    pose: Poses

    def distance(self, crop_box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        """Signed distance to the border that it should have in a crop (x0, y0, x1, y1), (h, w) [fine px]."""
        x0, y0, x1, y1 = crop_box
        back = window_pose(invert(self.pose), (x0, y0), self.model.corner)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(
            self.model.amodal_distance, back, (x1 - x0, y1 - y0), flags=flags, borderValue=FAR_OUTSIDE
        )
        return np.asarray(moved, np.float32)

    def growth_px(self, box_xyxy: tuple[int, int, int, int], most_px: int) -> int:
        """How far it reaches beyond the box of what is seen now, at most `most_px` [work px]."""
        low, high = moved_box(self.pose, self.model.box_xyxy)
        beyond = max(*(np.array(box_xyxy[:2]) - low), *(high - np.array(box_xyxy[2:])))
        return int(np.clip(beyond + 4, 0, most_px))


def build_model(
    keyframe: PaddedKeyframe,
    index: int,
    nested: frozenset[int],
    background: NDArray[np.float32],
    tuning: Tuning,
    prior: Prior | None = None,
) -> AppearanceModel:
    """Learn one instance of a keyframe.

    Args:
        keyframe: The keyframe.
        index: Which of its masks.
        nested: Indices of masks that share pixels with it; they do not hide it.
        background: Histogram of everything that belongs to no object.
        tuning: How.
        prior: What was known of it before.
    """
    mask = keyframe.masks[index]
    extent = _extent(mask.box_xyxy, keyframe.size, prior, tuning.appearance)
    crop = keyframe.crop(extent.crop_box)
    distance, inside = _signed_distance(mask, extent.margins)
    labels, color = keyframe.labels_in(crop), keyframe.color[crop]
    in_image = labels >= 0
    unobserved, amodal_distance = _unobserved(labels, inside, index, nested), distance
    expected = prior.distance(extent.crop_box) if prior is not None else None
    if expected is not None and _is_partly_hidden(inside, distance, expected, tuning.appearance):
        unobserved |= (expected > 0) & (distance < 0)
        amodal_distance = np.maximum(distance, expected)
    is_near = bool((unobserved & (distance > -tuning.appearance.unobserved_px)).any())
    own, colors = _learn_colors(keyframe.color_index[crop], distance, in_image, background, tuning)
    corner = extent.crop_box[0], extent.crop_box[1]
    return AppearanceModel(
        corner=corner,
        color=color,
        distance=distance,
        amodal_distance=amodal_distance,
        unobserved=unobserved.astype(np.float32) if is_near else None,
        box_xyxy=mask.box_xyxy,
        touches_border=extent.touches_border,
        growth_px=extent.growth_px,
        reappearance_px=extent.reappearance_px,
        colors=colors,
        histogram=own,
        alignment=alignment_points(color, distance, in_image & ~unobserved, corner, colors.trust, tuning.template),
    )


@dataclass(frozen=True)
class _Extent:
    """How far an object may reach [work px].

    Args:
        box_xyxy: What is seen of it.
        touches_border: The image border cuts it.
        growth_px: How far beyond the box it may grow by entering the image, ...
        reappearance_px: ... and by coming out from behind something.
        margins: Room at the left, top, right and below.
    """

    box_xyxy: tuple[int, int, int, int]
    touches_border: bool
    growth_px: int
    reappearance_px: int
    margins: tuple[int, int, int, int]

    @property
    def crop_box(self) -> tuple[int, int, int, int]:
        """The box with its margins; may reach over the image border."""
        (x0, y0, x1, y1), (left, top, right, below) = self.box_xyxy, self.margins
        return x0 - left, y0 - top, x1 + right, y1 + below


def _extent(
    box: tuple[int, int, int, int], size: tuple[int, int], prior: Prior | None, tuning: AppearanceTuning
) -> _Extent:
    """How far an object may reach of which a box is seen in an image of size (h, w)."""
    touches = box[0] <= 0 or box[1] <= 0 or box[2] >= size[1] or box[3] >= size[0]
    hidden_px = prior.growth_px(box, tuning.most_growth_px) if prior is not None else 0
    reappearance = max(tuning.margin_px, hidden_px)
    growth = max(_entry_px(box, tuning), reappearance) if touches else reappearance
    return _Extent(box, touches, growth, reappearance, _margins_px(box, size, growth, tuning.margin_px))


def _learn_colors(
    color_index: NDArray[np.uint16],
    distance: NDArray[np.float32],
    in_image: NDArray[np.bool_],
    background: NDArray[np.float32],
    tuning: Tuning,
) -> tuple[NDArray[np.float32], ColorModel]:
    """Histogram of an object's colours, and what they say against those around it."""
    own = tuning.appearance
    core = distance > own.core_px
    if np.count_nonzero(core) < own.least_core_pixels:
        core = distance > 0
    inside = histogram(color_index[core])
    ring = (distance < -own.ring_near_px) & (distance > -own.ring_far_px) & in_image
    return inside, color_model(inside, histogram(color_index[ring]), background, tuning.color)


def color_model(
    inside: NDArray[np.float32], ring: NDArray[np.float32], background: NDArray[np.float32], tuning: ColorTuning
) -> ColorModel:
    """Compare an object's colours with those around it.

    Args:
        inside: Histogram of the object.
        ring: Histogram of its surroundings.
        background: Histogram of everything that belongs to no object.
        tuning: How.
    """
    others = tuning.ring_share * ring + (1 - tuning.ring_share) * background
    evidence = np.log((inside + tuning.prior) / (others + tuning.prior))
    evidence = np.clip(evidence, -tuning.log_odds_limit, tuning.log_odds_limit).astype(np.float32)
    accuracy = 0.5 * float(inside[evidence > 0].sum() + ring[evidence < 0].sum())
    trust = float(np.clip((accuracy - tuning.useless) / (tuning.useful - tuning.useless), 0.0, 1.0))
    log_odds = evidence * np.float32(trust)
    probability = (1 / (1 + np.exp(-tuning.steepness * log_odds))).astype(np.float32)
    return ColorModel(log_odds, probability, trust)


def _is_partly_hidden(
    inside: NDArray[np.bool_], distance: NDArray[np.float32], expected: NDArray[np.float32], tuning: AppearanceTuning
) -> bool:
    """Whether something occludes a part of an object, by what is seen of it, and its signed distances now and as they
    should be, (h, w) each."""
    within, seen = np.count_nonzero(inside & (expected > -tuning.border_error_px)), np.count_nonzero(inside)
    hidden, was = np.count_nonzero((expected > 0) & (distance < 0)), np.count_nonzero(expected > 0)
    return bool(within >= tuning.least_within * seen and hidden >= tuning.least_hidden * was)


def _entry_px(box: tuple[int, int, int, int], tuning: AppearanceTuning) -> int:
    """How far an object that the image border cuts may turn out to reach beyond its box [work px]."""
    size = max(box[2] - box[0], box[3] - box[1])
    return int(np.clip(tuning.border_growth * size, tuning.border_margin_px, tuning.most_growth_px))


def _margins_px(
    box: tuple[int, int, int, int], size: tuple[int, int], growth: int, inner_px: int
) -> tuple[int, int, int, int]:
    """Room at the left, top, right and below [work px]; the far side of an object that enters needs less."""
    x0, y0, x1, y1 = box
    left, top, right, bottom = x0 <= 0, y0 <= 0, x1 >= size[1], y1 >= size[0]
    least = min(growth, inner_px)
    return (
        least if right and not left else growth,
        least if bottom and not top else growth,
        least if left and not right else growth,
        least if top and not bottom else growth,
    )


def _signed_distance(
    mask: KeyframeMask, margins: tuple[int, int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Distance to the border (h, w) [fine px] and the mask itself (h, w), with margins [work px] around."""
    left, top, right, bottom = (FINE * margin for margin in margins)
    inside = cv2.copyMakeBorder(mask.fine.view(np.uint8), top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0,))
    distance = np.float32(0.5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    height, width = mask.fine.shape
    window = slice(top - 1, top + height + 1), slice(left - 1, left + width + 1)  # the object ends within it
    distance[window] += cv2.distanceTransform(inside[window], cv2.DIST_L2, 3) - inside[window]
    size = inside.shape[1] // FINE, inside.shape[0] // FINE
    shrunk = np.asarray(cv2.resize(distance, size, interpolation=cv2.INTER_AREA), np.float32)
    return shrunk, inside[::FINE, ::FINE] > 0


def _unobserved(
    labels: NDArray[np.int16], inside: NDArray[np.bool_], index: int, nested: frozenset[int]
) -> NDArray[np.bool_]:
    """Where the object may go on unseen, bool (h, w)."""
    unobserved: NDArray[np.bool_] = (labels != 0) & (labels != index + 1) & ~inside
    for other in nested:
        unobserved &= labels != other + 1
    count, components = cv2.connectedComponents((~inside).astype(np.uint8), connectivity=4)
    if count > 2:
        open_ = np.zeros(count, bool)
        open_[0] = True  # component 0 is the object itself
        for edge in (components[0], components[-1], components[:, 0], components[:, -1]):
            open_[edge] = True
        unobserved |= ~open_[components] & ~_belongs_to(labels, nested)
    return unobserved


def _belongs_to(labels: NDArray[np.int16], indices: frozenset[int]) -> NDArray[np.bool_]:
    return np.isin(labels, [i + 1 for i in indices]) if indices else np.zeros(labels.shape, bool)
