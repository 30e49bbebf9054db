"""What the refiner sees of one thing: planes of the window around where the thing was carried to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.reference import Moment, Reference
from samlite_ros.streaming.image.frame_images import NO_MAP, FrameImages, Window
from samlite_ros.streaming.model.bend import Bend
from samlite_ros.streaming.model.thing_colors import ThingColors
from samlite_ros.streaming.tuning import ShapeTuning

NAMES = (
    "red", "green", "blue", "link distance", "key distance", "colour odds",
    "link unlike", "link background unlike", "key unlike", "key background unlike", "link age", "key age", "surety",
    "key error",
)  # fmt: skip
"""Of the planes, in order. "unlike": how the frame differs from the earlier one moved as the thing moved, and as the
camera moved. "key error": what the shape foreseen of the keyframe lacked, and what it had too much."""
PLANES = len(NAMES)
ERROR = NAMES.index("key error")
DISTANCE_UNIT, ODDS_UNIT, UNLIKE_UNIT, AGE_UNIT_S = 8.0, 3.0, 48.0, 1.0
MOST_DISTANCE, MOST_UNLIKE, MOST_AGE = 2.0, 2.0, 2.0
MOST_LEVELS = MOST_UNLIKE * UNLIKE_UNIT
THIRDS = np.full((1, 3), 1 / 3, np.float32)


@dataclass(frozen=True, eq=False)
class Carried:
    """A reference and how its thing and the camera moved since.

    Args:
        reference: The shape then.
        bend: The thing's motion.
        camera: (3, 3): later to earlier frame, by what lies on no thing [px].
        age_s: Time since [s].
    """

    reference: Reference
    bend: Bend
    camera: NDArray[np.float64]
    age_s: float


@dataclass(frozen=True, eq=False)
class Planes:
    """Input of the refiner.

    Args:
        window: What is covered.
        values: float32 (PLANES, n, n).
        distance: float32 (n, n): signed distance of the shape carried from the last link [cells].
        key_distance: The same carried from the keyframe.
    """

    window: Window
    values: NDArray[np.float32]
    distance: NDArray[np.float32]
    key_distance: NDArray[np.float32]


def planes_of(
    now: FrameImages,
    window: Window,
    cells: int,
    key: Carried,
    link: Carried,
    colors: ThingColors,
    tuning: ShapeTuning,
) -> Planes:
    """The planes of a window.

    Args:
        now: The frame.
        window: The window.
        cells: Its cells along either side.
        key: Carried from the keyframe.
        link: Carried from the newest link of the chain; may be `key` itself.
        colors: The thing's colours.
        tuning: Numbers.
    """
    values = np.empty((PLANES, cells, cells), np.float32)
    seen = now.cut(window, cells)
    values[0:3] = seen.transpose(2, 0, 1)
    values[0:3] *= np.float32(1 / 255)
    values[0:3] -= np.float32(0.5)
    distance, places = _carry(link, now, window, seen, values, (3, 6, 7), tuning)
    key_distance = distance
    if link is key:
        values[[4, 8, 9]] = values[[3, 6, 7]]
    else:
        key_distance, places = _carry(key, now, window, seen, values, (4, 8, 9), tuning)
    values[ERROR] = key.reference.error_at(places)
    values[5] = colors.odds(seen) * np.float32(1 / ODDS_UNIT)
    values[10] = min(link.age_s / AGE_UNIT_S, MOST_AGE)
    values[11] = min(key.age_s / AGE_UNIT_S, MOST_AGE)
    values[12] = link.bend.surety
    return Planes(window, values, distance, key_distance)


def _carry(
    carried: Carried,
    now: FrameImages,
    window: Window,
    seen: NDArray[np.uint8],
    values: NDArray[np.float32],
    rows: tuple[int, int, int],
    tuning: ShapeTuning,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fill the planes of distance, unlikeness and the background's.

    Returns:
        The distance (n, n) [cells], and where the window's cells were among the reference's, (n, n, 2).
    """
    cells, cell_px = seen.shape[0], window.cell_px(seen.shape[0])
    reference = carried.reference
    then = places_then(carried.bend, window, cells, reference.window, reference.distance.shape[0], tuning.bend_step)
    scale = 1 / np.sqrt(max(abs(float(np.linalg.det(carried.bend.back[:, :2]))), 1e-3))
    distance, colors = reference.seen_at(then)
    distance *= np.float32(scale / cell_px)
    limit = np.float32(MOST_DISTANCE * DISTANCE_UNIT)
    np.minimum(np.maximum(distance, -limit, out=distance), limit, out=distance)
    np.multiply(distance, np.float32(1 / DISTANCE_UNIT), out=values[rows[0]])
    _unlike(seen, colors, values[rows[1]])
    _unlike(seen, _background(reference.moment.images, carried.camera, window, cells), values[rows[2]])
    return distance, then


def _unlike(seen: NDArray[np.uint8], moved: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    """Mean difference of the colours around each cell, (n, n), in units of UNLIKE_UNIT levels."""
    difference = cv2.blur(cv2.transform(cv2.absdiff(seen, moved), THIRDS), (3, 3))
    np.multiply(np.minimum(difference, np.uint8(MOST_LEVELS)), np.float32(1 / UNLIKE_UNIT), out=out)


def _background(images: FrameImages, camera: NDArray[np.float64], window: Window, cells: int) -> NDArray[np.uint8]:
    """What lay in the earlier frame where the window would be if nothing but the camera had moved, (n, n, 3)."""
    times = images.level(window.cell_px(cells))
    shrink = float(1 << times)
    half = 0.5 / shrink - 0.5
    to_level = np.array([[1 / shrink, 0, half], [0, 1 / shrink, half], [0, 0, 1]])
    matrix = to_level @ camera @ np.vstack([window.matrix(cells), [0, 0, 1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = images.halved(times)
    moved = cv2.warpPerspective(image, matrix, (cells, cells), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


@lru_cache(maxsize=8)
def _node_map(cells: int, step: int) -> tuple[int, NDArray[np.float32]]:
    """Number of nodes a side, and for each cell its place among the nodes, (n, n, 2)."""
    count = (cells - 1 + step - 1) // step + 1
    at = np.arange(cells, dtype=np.float32) / step
    return count, np.dstack(np.meshgrid(at, at))


def places_then(
    bend: Bend, window: Window, cells: int, then: Window, then_cells: int, step: int
) -> NDArray[np.float32]:
    """Where a window's cells were among those of a window of the earlier frame, (n, n, 2); bent at every `step`-th
    cell, between these by line."""
    count, among = _node_map(cells, step)
    sx, sy = window.w / cells, window.h / cells
    at = np.arange(count, dtype=np.float32) * step
    places = np.empty((count, count, 2), np.float32)
    places[..., 0] = at * np.float32(sx) + np.float32(window.x + sx / 2 - 0.5)
    places[..., 1] = (at * np.float32(sy) + np.float32(window.y + sy / 2 - 0.5))[:, None]
    nodes = then.to_cells(bend.then(places.reshape(-1, 2)), then_cells).reshape(count, count, 2)
    return np.asarray(cv2.remap(nodes, among, NO_MAP, cv2.INTER_LINEAR), np.float32)


__all__ = ["NAMES", "PLANES", "Carried", "Moment", "Planes", "places_then", "planes_of"]
