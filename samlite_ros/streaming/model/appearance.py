"""What is known of an object from one keyframe: shape, colours, and the points that it is aligned with.

Signed distances are in fine pixels (half a work pixel), positive inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.geometry import Poses, compose, invert, moved_box, translation, window_pose
from samlite_ros.streaming.image.work_image import FINE, WorkImage
from samlite_ros.streaming.model.alignment_points import AlignmentPoints, alignment_points
from samlite_ros.streaming.model.color_model import ColorModel, color_model, histogram
from samlite_ros.streaming.tuning import AppearanceTuning, TemplateTuning, Tuning
from samlite_ros.streaming.tuning.model import INNER_WEIGHT

FAR_OUTSIDE = -30.0
"""Signed distance where nothing of the object can be [fine px]."""


@dataclass(frozen=True, eq=False)
class KeyframeMask:
    """An instance of a keyframe on the fine grid, in a window that starts at a whole work pixel.

    Args:
        x0, y0: Upper left corner of the window [work px].
        fine: bool (2 h, 2 w).
    """

    x0: int
    y0: int
    fine: NDArray[np.bool_]

    @property
    def inside(self) -> NDArray[np.bool_]:
        """bool (h, w): every second fine pixel."""
        return self.fine[::FINE, ::FINE]

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of the window in a work image."""
        h, w = self.inside.shape
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)

    @property
    def box_xyxy(self) -> tuple[int, int, int, int]:
        """The window [work px]; exclusive at the right and below."""
        h, w = self.inside.shape
        return self.x0, self.y0, self.x0 + w, self.y0 + h


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


class PaddedKeyframe:
    """A keyframe with room around it, and which instance owns which pixel.

    Args:
        image: The keyframe.
        masks: All instances found in it.
        tuning: How wide the room is.
    """

    def __init__(self, image: WorkImage, masks: list[KeyframeMask], tuning: AppearanceTuning) -> None:
        self.masks = masks
        self._pad_px = tuning.pad_px
        pad = (self._pad_px,) * 4
        self.size = image.size
        self.color = np.asarray(cv2.copyMakeBorder(image.color, *pad, cv2.BORDER_REPLICATE), np.uint8)
        self.color_index = np.asarray(cv2.copyMakeBorder(image.color_index, *pad, cv2.BORDER_REPLICATE), np.uint16)
        self.labels = paint_labels(masks, image.size)
        outside = cv2.copyMakeBorder(self.labels, *pad, cv2.BORDER_CONSTANT, value=(-1,))
        self._padded_labels = np.asarray(outside, np.int16)
        self.background = histogram(image.color_index[self.labels == 0][::4])

    def crop(self, box_xyxy: tuple[int, int, int, int]) -> tuple[slice, slice]:
        """Index of a box [work px] in the padded arrays."""
        pad = self._pad_px
        x0, y0, x1, y1 = box_xyxy
        return slice(y0 + pad, y1 + pad), slice(x0 + pad, x1 + pad)

    def labels_in(self, crop: tuple[slice, slice]) -> NDArray[np.int16]:
        """int16 (h, w): 1-based index of the owner, 0 = none, -1 = outside the image."""
        return self._padded_labels[crop]


def paint_labels(masks: list[KeyframeMask], size: tuple[int, int]) -> NDArray[np.int16]:
    """1-based index of the instance that owns each work pixel, 0 = none; small ones lie on top; int16 (h, w)."""
    labels = np.zeros(size, np.int16)
    for index in sorted(range(len(masks)), key=lambda i: -np.count_nonzero(masks[i].inside)):
        mask = masks[index]
        labels[mask.window][mask.inside] = index + 1
    return labels


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
    own_tuning = tuning.appearance
    mask = keyframe.masks[index]
    box = mask.box_xyxy
    touches = box[0] <= 0 or box[1] <= 0 or box[2] >= keyframe.size[1] or box[3] >= keyframe.size[0]
    growth_px = prior.growth_px(box, own_tuning.most_growth_px) if prior is not None else 0
    reappearance = max(own_tuning.margin_px, growth_px)
    growth = max(_entry_px(box, own_tuning), reappearance) if touches else reappearance
    margins = _margins_px(box, keyframe.size, growth, own_tuning.margin_px)
    crop_box = box[0] - margins[0], box[1] - margins[1], box[2] + margins[2], box[3] + margins[3]
    crop = keyframe.crop(crop_box)
    distance, inside = _signed_distance(mask, margins)
    labels = keyframe.labels_in(crop)
    in_image = labels >= 0
    unobserved, amodal_distance = _unobserved(labels, inside, index, nested), distance
    expected = prior.distance(crop_box) if prior is not None else None
    if expected is not None and _is_partly_hidden(inside, distance, expected, own_tuning):
        unobserved |= (expected > 0) & (distance < 0)
        amodal_distance = np.maximum(distance, expected)
    color = keyframe.color[crop]
    color_index = keyframe.color_index[crop]
    core = distance > own_tuning.core_px
    if np.count_nonzero(core) < own_tuning.least_core_pixels:
        core = distance > 0
    own = histogram(color_index[core])
    around = (distance < -own_tuning.ring_near_px) & (distance > -own_tuning.ring_far_px)
    colors = color_model(own, histogram(color_index[around & in_image]), background, tuning.color)
    corner = crop_box[0], crop_box[1]
    return AppearanceModel(
        corner=corner,
        color=color,
        distance=distance,
        amodal_distance=amodal_distance,
        unobserved=unobserved.astype(np.float32)
        if bool((unobserved & (distance > -own_tuning.unobserved_px)).any())
        else None,
        box_xyxy=box,
        touches_border=touches,
        growth_px=growth,
        reappearance_px=reappearance,
        colors=colors,
        histogram=own,
        alignment=_alignment_of(color, distance, in_image & ~unobserved, corner, colors.trust, tuning.template),
    )


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
    unobserved = (labels != 0) & (labels != index + 1) & ~inside
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


def _alignment_of(
    color: NDArray[np.uint8],
    distance: NDArray[np.float32],
    usable: NDArray[np.bool_],
    corner: tuple[int, int],
    color_trust: float,
    tuning: TemplateTuning,
) -> AlignmentPoints | None:
    """Alignment points of a crop, of which only the surroundings of the object are looked at."""
    near = (distance > -tuning.outline_band_px - 2 * FINE).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(near)
    part = slice(y, y + h), slice(x, x + w)
    return alignment_points(
        color[part], distance[part], usable[part], (corner[0] + x, corner[1] + y), color_trust, tuning
    )
