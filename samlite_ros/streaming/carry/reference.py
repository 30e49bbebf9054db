"""The shape of a thing in one frame, from which it is carried: in the keyframe, or later in a link of the chain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from samlite_ros.streaming.image.frame_images import NO_MAP, FrameImages, Window
from samlite_ros.streaming.image.point_pool import Mark
from samlite_ros.streaming.model.bend import Bend, camera_motion, fit_bend
from samlite_ros.streaming.model.thing_colors import ThingColors, learn_colors
from samlite_ros.streaming.tuning import ShapeTuning, Tuning
from samlite_ros.streaming.tuning.shape import REFERENCE_SIDE_PX

FAR_PX = -1000.0
"""Signed distance where nothing is known of a thing [px]."""
NOWHERE = -9.0
"""Log-odds outside of what was drawn."""
OUTLINE_POINTS = 48
COLOR_CELLS = 128
LEAST_INNER_PX = 1.0


@dataclass(eq=False)
class Moment:
    """One frame that things are carried from or to.

    Args:
        number: Number of the frame.
        stamp_ns: Its stamp [ns].
        images: The frame.
        mark: Where the points were in it.
    """

    number: int
    stamp_ns: int
    images: FrameImages
    mark: Mark


@dataclass(frozen=True, eq=False)
class Reference:
    """A shape in one frame.

    Args:
        moment: The frame.
        window: What `distance` covers.
        distance: float32 (m, m): signed distance to the border, positive inside [px].
        area_px: Area [px^2].
        outline: float32 (K, 2): places on its border [px].
        error: float32 (m, m): what was missing (up to 1) and what was too much (down to -1) where the frame had been
            foreseen, before the shape was known; None = it was not foreseen.
    """

    moment: Moment
    window: Window
    distance: NDArray[np.float32]
    area_px: float
    outline: NDArray[np.float32]
    error: NDArray[np.float32] | None = None

    @cached_property
    def colors(self) -> NDArray[np.uint8]:
        """What the frame shows there, (m, m, 3)."""
        return self.moment.images.cut(self.window, self.distance.shape[0])

    def seen_at(self, cells: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Signed distance [px] and colours at places among the window's cells, (h, w, 2)."""
        mode = cv2.BORDER_CONSTANT
        distance = cv2.remap(self.distance, cells, NO_MAP, cv2.INTER_LINEAR, borderMode=mode, borderValue=FAR_PX)
        colors = cv2.remap(self.colors, cells, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(distance, np.float32), np.asarray(colors, np.uint8)

    def error_at(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """What was missing or too much at places among the window's cells, (h, w, 2); 0 where that is not known."""
        if self.error is None:
            return np.zeros(cells.shape[:2], np.float32)
        return np.asarray(cv2.remap(self.error, cells, NO_MAP, cv2.INTER_LINEAR), np.float32)

    def distance_at(self, places: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signed distance at pixel places (h, w, 2), (h, w) [px]."""
        at = self.window.to_cells(places, self.distance.shape[0])
        mode = cv2.BORDER_CONSTANT
        found = cv2.remap(self.distance, at, NO_MAP, cv2.INTER_LINEAR, borderMode=mode, borderValue=FAR_PX)
        return np.asarray(found, np.float32)

    def _inner_px(self, unit_px: float, tuning: ShapeTuning) -> float:
        """How far inside the border the points lie that tell its motion [px]."""
        return max(min(tuning.inner_px * unit_px, tuning.most_inner * float(np.sqrt(self.area_px))), LEAST_INNER_PX)

    def distance_in(self, window: Window, cells: tuple[int, int]) -> NDArray[np.float32]:
        """Signed distance at so many (rows, columns) cells of a window of the same frame [px]."""
        return cells_in(self.distance, self.window, window, cells, FAR_PX)

    def motion_to(self, later: Mark, unit_px: float, camera: NDArray[np.float64] | None, tuning: ShapeTuning) -> Bend:
        """How the thing moved from here to where the points are in a later mark; see `fit_bend` for the arguments."""
        count = min(len(self.moment.mark.places), len(later.places))
        then = self.moment.mark.places[:count]
        mine = self.distance_at(then[None])[0] > self._inner_px(unit_px, tuning) if count else np.zeros(0, bool)
        return fit_bend(then[mine], later.places[:count][mine], self.area_px, unit_px, tuning, camera)


def cells_in(
    values: NDArray[np.float32], of: Window, window: Window, cells: tuple[int, int], outside: float
) -> NDArray[np.float32]:
    """Values (m, n) of the cells of a window, at so many (rows, columns) cells of another of the same frame."""
    (rows, columns), (m, n) = cells, values.shape
    fx, fy = n / of.w, m / of.h
    sx, sy = window.w / columns, window.h / rows
    left, top = (window.x + sx / 2 - of.x) * fx - 0.5, (window.y + sy / 2 - of.y) * fy - 0.5
    matrix = np.array([[sx * fx, 0, left], [0, sy * fy, top]])
    flags, mode = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_CONSTANT
    found = cv2.warpAffine(values, matrix, (columns, rows), flags=flags, borderMode=mode, borderValue=outside)
    return np.asarray(found, np.float32)


def error_of(key: Reference, window: Window, logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """What was missing and what was too much in a shape that was foreseen, log-odds (n, n) of a window of the
    keyframe, at the keyframe's cells, (m, m)."""
    said = cells_in(logits, window, key.window, key.distance.shape, NOWHERE)
    return np.asarray((key.distance > 0) - expit(said), np.float32)


def unit_of(size: tuple[int, int]) -> float:
    """Camera pixels per pixel that lengths were tuned for, of images of size (H, W)."""
    return max(size) / REFERENCE_SIDE_PX


def camera_between(
    earlier: Moment, later: Mark, on_thing: NDArray[np.bool_], unit_px: float, tuning: ShapeTuning
) -> NDArray[np.float64]:
    """Homography (3, 3) from a later to an earlier frame by the points that lie on no thing."""
    count = min(len(earlier.mark.places), len(later.places))
    free = ~on_thing[:count]
    return camera_motion(earlier.mark.places[:count][free], later.places[:count][free], unit_px, tuning)


def window_around(
    low: NDArray[np.float32], high: NDArray[np.float32], size: tuple[int, int], tuning: ShapeTuning
) -> Window:
    """The window of a thing whose box is `low` to `high` (x, y) [px edges], in an image of size (H, W)."""
    low, high = np.maximum(low, 0), np.minimum(high, np.array(size[::-1], np.float32))
    w, h = (float(n) for n in np.maximum(high - low, 2))
    x, y = (float(n) for n in (low + high) / 2)
    margin = tuning.grow_px * unit_of(size)
    w, h = max(w * tuning.grow, w + margin), max(h * tuning.grow, h + margin)
    w, h = max(w, h / tuning.most_aspect), max(h, w / tuning.most_aspect)
    return Window(x - w / 2, y - h / 2, w, h)


def reference_from_mask(moment: Moment, mask: NDArray[np.bool_], tuning: ShapeTuning) -> Reference | None:
    """The shape of a mask (H, W) of that frame; None where it is empty."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    if w == 0:
        return None
    low, high = np.array([x, y], np.float32), np.array([x + w, y + h], np.float32)
    window = window_around(low, high, moment.images.size, tuning)
    m = tuning.reference_cells
    soft = _shrunk(mask.view(np.uint8)[y : y + h, x : x + w], (x, y), window, m)
    return reference_from_inside(moment, window, soft, tuning)


def _shrunk(part: NDArray[np.uint8], corner: tuple[int, int], window: Window, cells: int) -> NDArray[np.bool_]:
    """A part of a mask as cells of a window, bool (cells, cells)."""
    matrix = window.matrix(cells)
    matrix[:, 2] -= np.array(corner, np.float32)
    values = part * np.uint8(255)
    cell = window.cell_px(cells)
    if cell > 1.5:
        side = int(cell + 0.5)
        values = np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_CONSTANT), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(values, matrix, (cells, cells), flags=flags) > 127)


def reference_from_logits(
    moment: Moment, window: Window, logits: NDArray[np.float32], tuning: ShapeTuning
) -> Reference | None:
    """The shape where logits (n, n) of a window are positive; None where next to nothing is."""
    m = tuning.reference_cells
    inside = cv2.resize(logits, (m, m), interpolation=cv2.INTER_LINEAR) > 0
    found = reference_from_inside(moment, window, np.asarray(inside), tuning)
    unit = unit_of(moment.images.size)
    return found if found is not None and found.area_px >= tuning.least_link_area_px * unit**2 else None


def reference_from_inside(
    moment: Moment, window: Window, inside: NDArray[np.bool_], tuning: ShapeTuning
) -> Reference | None:
    """The shape of cells (m, m) of a window."""
    m, cells = inside.shape[0], inside.view(np.uint8)
    count = int(np.count_nonzero(inside))
    if not count:
        return None
    cell_px = window.cell_px(m)
    if count == inside.size:
        distance = np.full((m, m), m / 2, np.float32)
    else:
        distance = cv2.distanceTransform(cells, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - cells, cv2.DIST_L2, 3)
        distance -= np.float32(0.5) * np.sign(distance)
    outline = _outline(cells) @ window.matrix(m)[:, :2].T + window.matrix(m)[:, 2]
    area = count * cell_px**2
    return Reference(moment, window, np.asarray(distance * cell_px, np.float32), area, outline.astype(np.float32))


def _outline(cells: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Some places on the outlines, (K, 2) as (x, y) [cells]; the outermost are among them."""
    contours, _ = cv2.findContours(cells, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    places = np.concatenate([c[:, 0] for c in contours]).astype(np.float32)
    chosen = np.linspace(0, len(places) - 1, min(OUTLINE_POINTS, len(places))).astype(np.intp)
    extremes = [int(f(places[:, axis])) for axis in (0, 1) for f in (np.argmin, np.argmax)]
    return np.asarray(places[np.concatenate([chosen, extremes])], np.float32)


def window_of(reference: Reference, bend: Bend, size: tuple[int, int], tuning: ShapeTuning) -> Window | None:
    """The window around where a thing was carried to, in an image of size (H, W); None = outside."""
    forth = bend.forth
    places = reference.outline @ forth[:, :2].T + forth[:, 2]
    low, high = places.min(0), places.max(0) + 1
    if high[0] <= 1 or high[1] <= 1 or low[0] >= size[1] - 1 or low[1] >= size[0] - 1:
        return None
    return window_around(low, high, size, tuning)


def colors_of(key: Reference, tuning: Tuning) -> ThingColors:
    """The colours of a thing in its keyframe."""
    window, images, margin = key.window, key.moment.images, tuning.shapes.color_margin
    dx, dy = margin * window.w, margin * window.h
    wide = Window(window.x - dx, window.y - dy, window.w + 2 * dx, window.h + 2 * dy)
    x, y = wide.centers(COLOR_CELLS)
    distance = key.distance_in(wide, (COLOR_CELLS, COLOR_CELLS)) / np.float32(wide.cell_px(COLOR_CELLS))
    h, w = images.size
    distance[(y < 0) | (y > h - 1)] = -np.inf
    distance[:, (x < 0) | (x > w - 1)] = -np.inf
    return learn_colors(images.cut(wide, COLOR_CELLS), np.asarray(distance, np.float32), tuning.color)
