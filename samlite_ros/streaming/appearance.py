"""What is known of an object from one keyframe: shape, colours, and the points that it is aligned with.

Signed distances are in fine pixels (half a work pixel), positive inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.color_model import ColorModel, color_model, histogram
from samlite_ros.streaming.flow import FINE, WorkImage

PAD_PX = 56
"""Room around the keyframe for crops that reach over its border [work px]."""
MARGIN_PX = 16
"""Room around an object inside the image [work px]."""
BORDER_GROWTH, BORDER_MARGIN_LEAST_PX = 1.2, 28
"""Room around an object that is cut by the image border, as a factor of its size, and at least [work px]."""
TEMPLATE_POINTS = 96
TEXTURED_SHARE = 0.7
"""So many of the template points are those of highest gradient; the others are spread evenly."""
OUTLINE_POINTS = 48
OUTLINE_BAND = 8.0
"""Outline points lie so near to the border [fine px]."""
OUTLINE_SOFTNESS = 2.5
LEAST_POINTS = 20
CANDIDATE_POINTS = 1200
"""Of a large object only so many points, evenly spread, are looked at for the best."""
TEMPLATE_RING = 4.0
"""Template points lie at most so far outside the object [fine px]."""


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
class AlignmentPoints:
    """Points by which an object is found again, padded to a fixed number with points of weight 0.

    Args:
        points: float32 (96, 2): template points in the keyframe [work px].
        color: float32 (96, 3): their colour.
        jacobian: float32 (96, 3, 4): change of colour with shift x, y, and with scale and rotation about the center
            times radius.
        weight: float32 (96,).
        outline: float32 (48, 2): points near the border [work px].
        target: float32 (48,): how much inside they are, 0 to 1.
        outline_jacobian: float32 (48, 4).
        outline_weight: float32 (48,).
        center: float32 (2,) [work px].
        radius: Typical distance of the template points from the center [work px].
    """

    points: NDArray[np.float32]
    color: NDArray[np.float32]
    jacobian: NDArray[np.float32]
    weight: NDArray[np.float32]
    outline: NDArray[np.float32]
    target: NDArray[np.float32]
    outline_jacobian: NDArray[np.float32]
    outline_weight: NDArray[np.float32]
    center: NDArray[np.float32]
    radius: float


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """One object as it looked in a keyframe; arrays cover a crop of the padded keyframe.

    Args:
        corner: (x, y) of the crop [work px]; may be negative.
        color: uint8 (h, w, 3).
        distance: float32 (h, w): signed distance to the border [fine px].
        unknown: float32 (h, w): 1 where the object may go on unseen: outside the image, behind another instance, in
            holes; None = nowhere near.
        box_xyxy: Bounds in the keyframe [work px].
        touches_border: The image border cuts it.
        growth_px: How far beyond the box it may grow [work px].
        colors: Colour evidence.
        histogram: Its colours.
        alignment: None where too little of it is seen.
    """

    corner: tuple[int, int]
    color: NDArray[np.uint8]
    distance: NDArray[np.float32]
    unknown: NDArray[np.float32] | None
    box_xyxy: tuple[int, int, int, int]
    touches_border: bool
    growth_px: int
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


class PaddedKeyframe:
    """A keyframe with room around it, and which instance owns which pixel.

    Args:
        image: The keyframe.
        masks: All instances found in it.
    """

    def __init__(self, image: WorkImage, masks: list[KeyframeMask]) -> None:
        self.masks = masks
        pad = (PAD_PX,) * 4
        self.size = image.size
        self.color = np.asarray(cv2.copyMakeBorder(image.color, *pad, cv2.BORDER_REPLICATE), np.uint8)
        self.color_index = np.asarray(cv2.copyMakeBorder(image.color_index, *pad, cv2.BORDER_REPLICATE), np.uint16)
        self.labels = paint_labels(masks, image.size)
        outside = cv2.copyMakeBorder(self.labels, *pad, cv2.BORDER_CONSTANT, value=(-1,))
        self._padded_labels = np.asarray(outside, np.int16)
        self.background = histogram(image.color_index[self.labels == 0][::4])

    def crop(self, box_xyxy: tuple[int, int, int, int]) -> tuple[slice, slice]:
        """Index of a box [work px] in the padded arrays."""
        x0, y0, x1, y1 = box_xyxy
        return slice(y0 + PAD_PX, y1 + PAD_PX), slice(x0 + PAD_PX, x1 + PAD_PX)

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


def build_model(
    keyframe: PaddedKeyframe, index: int, nested: frozenset[int], background: NDArray[np.float32]
) -> ObjectModel:
    """Learn one instance of a keyframe.

    Args:
        keyframe: The keyframe.
        index: Which of its masks.
        nested: Indices of masks that share pixels with it; they do not hide it.
        background: Histogram of everything that belongs to no object.
    """
    mask = keyframe.masks[index]
    box = mask.box_xyxy
    touches = box[0] <= 0 or box[1] <= 0 or box[2] >= keyframe.size[1] or box[3] >= keyframe.size[0]
    growth = _growth_px(box, touches)
    margins = _margins_px(box, keyframe.size, growth)
    crop_box = box[0] - margins[0], box[1] - margins[1], box[2] + margins[2], box[3] + margins[3]
    crop = keyframe.crop(crop_box)
    distance, inside = _signed_distance(mask, margins)
    labels = keyframe.labels_in(crop)
    in_image = labels >= 0
    unknown = _unknown(labels, inside, index, nested)
    color = keyframe.color[crop]
    color_index = keyframe.color_index[crop]
    core = distance > 1.5
    if np.count_nonzero(core) < 15:
        core = distance > 0
    own = histogram(color_index[core])
    ring = histogram(color_index[(distance < -2) & (distance > -24) & in_image])
    corner = crop_box[0], crop_box[1]
    return ObjectModel(
        corner=corner,
        color=color,
        distance=distance,
        unknown=unknown.astype(np.float32) if bool((unknown & (distance > -6)).any()) else None,
        box_xyxy=box,
        touches_border=touches,
        growth_px=growth,
        colors=color_model(own, ring, background),
        histogram=own,
        alignment=_alignment_of(color, distance, in_image & ~unknown, corner),
    )


def _growth_px(box: tuple[int, int, int, int], touches: bool) -> int:
    """How far an object may turn out to reach beyond its box [work px]."""
    if not touches:
        return MARGIN_PX
    size = max(box[2] - box[0], box[3] - box[1])
    return int(np.clip(BORDER_GROWTH * size, BORDER_MARGIN_LEAST_PX, PAD_PX - 4))


def _margins_px(box: tuple[int, int, int, int], size: tuple[int, int], growth: int) -> tuple[int, int, int, int]:
    """Room at the left, top, right and below [work px]; the far side of an object that enters needs less."""
    x0, y0, x1, y1 = box
    left, top, right, bottom = x0 <= 0, y0 <= 0, x1 >= size[1], y1 >= size[0]
    least = min(growth, MARGIN_PX)
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
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    distance -= inside - np.float32(0.5)
    size = inside.shape[1] // FINE, inside.shape[0] // FINE
    shrunk = np.asarray(cv2.resize(distance, size, interpolation=cv2.INTER_AREA), np.float32)
    return shrunk, inside[::FINE, ::FINE] > 0


def _unknown(
    labels: NDArray[np.int16], inside: NDArray[np.bool_], index: int, nested: frozenset[int]
) -> NDArray[np.bool_]:
    """Where the object may go on unseen, bool (h, w)."""
    unknown = (labels != 0) & (labels != index + 1) & ~inside
    for other in nested:
        unknown &= labels != other + 1
    count, components = cv2.connectedComponents((~inside).astype(np.uint8), connectivity=4)
    if count > 2:
        open_ = np.zeros(count, bool)
        open_[0] = True  # component 0 is the object itself
        for edge in (components[0], components[-1], components[:, 0], components[:, -1]):
            open_[edge] = True
        unknown |= ~open_[components] & ~_belongs_to(labels, nested)
    return unknown


def _belongs_to(labels: NDArray[np.int16], indices: frozenset[int]) -> NDArray[np.bool_]:
    return np.isin(labels, [i + 1 for i in indices]) if indices else np.zeros(labels.shape, bool)


def _alignment_of(
    color: NDArray[np.uint8], distance: NDArray[np.float32], usable: NDArray[np.bool_], corner: tuple[int, int]
) -> AlignmentPoints | None:
    """Alignment points of a crop, of which only the surroundings of the object are looked at."""
    near = (distance > -OUTLINE_BAND - 2 * FINE).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(near)
    part = slice(y, y + h), slice(x, x + w)
    return alignment_points(color[part], distance[part], usable[part], (corner[0] + x, corner[1] + y))


def alignment_points(
    color: NDArray[np.uint8], distance: NDArray[np.float32], usable: NDArray[np.bool_], corner: tuple[int, int]
) -> AlignmentPoints | None:
    """Choose the points of an object that fix its place.

    Args:
        color: uint8 (h, w, 3): crop of the keyframe.
        distance: float32 (h, w): signed distance to the object's border [fine px].
        usable: bool (h, w): where the keyframe shows the object or what is around it.
        corner: (x, y) of the crop [work px].

    Returns:
        None where fewer than 20 points are usable.
    """
    rows, columns = np.nonzero((distance > -TEMPLATE_RING) & usable)
    if len(rows) < LEAST_POINTS:
        return None
    considered = _spread(len(rows), CANDIDATE_POINTS)
    rows, columns = rows[considered], columns[considered]
    dx, dy = _gradient(color, rows, columns)
    chosen = _choose(np.abs(dx).sum(1) + np.abs(dy).sum(1), TEMPLATE_POINTS)
    rows, columns, dx, dy = rows[chosen], columns[chosen], dx[chosen], dy[chosen]
    points = np.stack([columns, rows], 1).astype(np.float32) + np.asarray(corner, np.float32)
    center = points.mean(0)
    radius = max(float(np.sqrt(((points - center) ** 2).sum(1).mean())), 3.0)
    outline = _outline_points(distance, usable, corner, center, radius)
    return AlignmentPoints(
        points=_padded(points, TEMPLATE_POINTS),
        color=_padded(color[rows, columns].astype(np.float32), TEMPLATE_POINTS),
        jacobian=_padded(_similarity_jacobian(dx, dy, (points - center) / radius), TEMPLATE_POINTS),
        weight=_padded(np.where(distance[rows, columns] > 0, 1.0, 0.5).astype(np.float32), TEMPLATE_POINTS),
        center=center,
        radius=radius,
        outline=outline[0],
        target=outline[1],
        outline_jacobian=outline[2],
        outline_weight=outline[3],
    )


def _outline_points(
    distance: NDArray[np.float32],
    usable: NDArray[np.bool_],
    corner: tuple[int, int],
    center: NDArray[np.float32],
    radius: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Points near the border, how much inside each is, the change of that with the pose, and weights."""
    rows, columns = np.nonzero((np.abs(distance) < OUTLINE_BAND) & usable)
    chosen = _spread(len(rows), OUTLINE_POINTS)
    rows, columns = rows[chosen], columns[chosen]
    inside = 0.5 + 0.5 * np.tanh(distance[rows, columns] / (2 * OUTLINE_SOFTNESS))
    slope = (inside * (1 - inside) / OUTLINE_SOFTNESS)[:, None]
    dx, dy = _gradient(distance[..., None], rows, columns)
    points = np.stack([columns, rows], 1).astype(np.float32) + np.asarray(corner, np.float32)
    jacobian = _similarity_jacobian(dx * slope, dy * slope, (points - center) / radius)
    return (
        _padded(points, OUTLINE_POINTS),
        _padded(inside, OUTLINE_POINTS),
        _padded(jacobian[:, 0], OUTLINE_POINTS),
        _padded(np.ones(len(rows), np.float32), OUTLINE_POINTS),
    )


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


def _choose(strength: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Indices of `count` entries: most of them the strongest, the others spread over the rest."""
    if len(strength) <= count:
        return np.arange(len(strength))
    strong_count = int(count * TEXTURED_SHARE)
    order = np.argpartition(-strength, strong_count)
    rest = np.sort(order[strong_count:])
    return np.concatenate([order[:strong_count], rest[_spread(len(rest), count - strong_count)]])


def _spread(available: int, count: int) -> NDArray[np.intp]:
    """At most `count` indices spread evenly over `available`."""
    if available <= count:
        return np.arange(available)
    return ((np.arange(count) + 0.5) * (available / count)).astype(np.intp)


def _padded(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Zeros appended up to `count` rows."""
    out = np.zeros((count, *values.shape[1:]), np.float32)
    out[: len(values)] = values
    return out
