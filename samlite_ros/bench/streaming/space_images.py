"""Positions in single images, by masks that are exact or err: how far centres and widths are from the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.figures import Figure
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.scenes import ObjectTruth, SequenceOptions
from samlite_ros.scenes import Sequence as SceneSequence
from samlite_ros.scenes.camera import Camera
from samlite_ros.scenes.depth import DepthSensor, TruePlace, measure_depth, true_place
from samlite_ros.space.depth_grid import DepthGrid
from samlite_ros.space.frames import IDENTITY
from samlite_ros.space.measurement import measure
from samlite_ros.space.rays import Rays
from samlite_ros.space.surface import find_surface
from samlite_ros.types import CameraCalibration, DepthImage

Flags = NDArray[np.bool_]
LEAST_PX = 48
"""Things whose visible part is narrower are left out [px]."""
HALF_HIDDEN = 0.75
"""Less of it is seen: something hides it."""
SEQUENCES = 24
SHOTS = (0, 60, 120)
"""Frames of each sequence."""
_SQUARE = np.ones((5, 5), np.uint8)


def _shifted(mask: Flags) -> Flags:
    moved = np.zeros_like(mask)
    moved[:, 2:] = mask[:, :-2]
    return moved


ERRORS: dict[str, Callable[[Flags], Flags]] = {
    "exact mask": lambda mask: mask,
    "2 px too large": lambda mask: cv2.dilate(mask.astype(np.uint8), _SQUARE) > 0,
    "2 px too small": lambda mask: cv2.erode(mask.astype(np.uint8), _SQUARE) > 0,
    "2 px beside": _shifted,
}
"""How masks err."""


def run(seed: int) -> Iterator[Figure]:
    """Centre errors as shares of the distance; width and height by the true ones, and how often within 10 % of them."""
    values: defaultdict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for number in range(SEQUENCES):
        kind = ("fly", "pan")[number % 2]
        sequence = SceneSequence(kind, 100 * seed + number, SequenceOptions(frames=max(SHOTS) + 1, count=8))
        for index in SHOTS:
            _judge_image(sequence, index, values)
    for name, rows in values.items():
        center, width, height = np.array(rows).T
        columns = {
            "centre_p50": np.percentile(center, 50),
            "centre_p95": np.percentile(center, 95),
            "width_p50": np.median(width),
            "height_p50": np.median(height),
            "width_within_10": np.mean(np.abs(width - 1) <= 0.1),
            "height_within_10": np.mean(np.abs(height - 1) <= 0.1),
        }
        for column, value in columns.items():
            share = 100 * float(value)
            yield Figure(f"positions_in_images/{name}/{column}", "%", share, share, share, count=len(rows))


def _judge_image(
    sequence: SceneSequence, index: int, values: defaultdict[str, list[tuple[float, float, float]]]
) -> None:
    scene, exact = sequence[index], sequence.exact_depth(index)
    measured = measure_depth(exact, DepthSensor(), np.random.default_rng([sequence.seed, index]))
    size = scene.camera.size
    grid = DepthGrid(DepthImage(measured, 1, "optical"), size)
    rays = Rays(calibration_of(scene.camera), size)
    for thing in filter(_is_wide, scene.objects):
        mask = scene.mask(thing.track_id)
        true = true_place(mask, exact, scene.camera.focal_px)
        hidden = " half hidden" if thing.visible_fraction < HALF_HIDDEN else ""
        for name, spoil in ERRORS.items():
            if (row := _judge(spoil(mask), true, grid, rays)) is not None:
                values[name + hidden].append(row)


def _judge(mask: Flags, true: TruePlace, grid: DepthGrid, rays: Rays) -> tuple[float, float, float] | None:
    """Distance of the centre from the true one by its distance; width and height by the true ones."""
    surface = find_surface(mask_from_array(mask), grid, rays)
    if surface is None:
        return None
    found = measure(surface, rays, IDENTITY)
    error = np.linalg.norm(found.position_m - true.position_m) / np.linalg.norm(true.position_m)
    width, height = (found.box_size_m / true.box_size_m)[:2]
    return float(error), float(width), float(height)


def _is_wide(thing: ObjectTruth) -> bool:
    x0, y0, x1, y1 = thing.box_xyxy
    return min(x1 - x0, y1 - y0) >= LEAST_PX


def calibration_of(camera: Camera) -> CameraCalibration:
    """Of a rendered camera; whole numbers are pixels' centres, as in ROS."""
    (h, w), focal_px = camera.size, camera.focal_px
    matrix = np.array([[focal_px, 0, w / 2 - 0.5], [0, focal_px, h / 2 - 0.5], [0, 0, 1.0]])
    return CameraCalibration(matrix, np.zeros(5), "plumb_bob", camera.size, 1, "optical")
