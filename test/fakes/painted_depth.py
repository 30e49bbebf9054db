"""Depth images painted by hand, and masks on them: what a test knows exactly."""

import numpy as np

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.space.depth_grid import DepthGrid
from samlite_ros.space.rays import Rays
from samlite_ros.space.surface import Surface, find_surface
from samlite_ros.types import CameraCalibration, DepthImage

SIZE = (240, 320)
FOCAL_PX = 300.0
MATRIX = np.array([[FOCAL_PX, 0, 159.5], [0, FOCAL_PX, 119.5], [0, 0, 1]])
CALIBRATION = CameraCalibration(MATRIX, np.zeros(5), "plumb_bob", SIZE, 1, "optical")
RAYS = Rays(CALIBRATION, SIZE)
NOISE_PER_M = 0.002


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def background(depth_m: float = 2.0) -> np.ndarray:
    return np.full(SIZE, depth_m, np.float32)


def noisy(depth: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (depth + NOISE_PER_M * depth**2 * rng.standard_normal(depth.shape)).astype(np.float32)


def millimetres(depth: np.ndarray) -> np.ndarray:
    return np.round(depth * 1000).astype(np.uint16)


def surface_of(mask: np.ndarray, depth: np.ndarray) -> Surface | None:
    return find_surface(mask_from_array(mask), DepthGrid(DepthImage(depth, 1, "optical"), SIZE), RAYS)


def middle(surface: Surface) -> np.ndarray:
    return np.median(surface.core, axis=1)


def width_m(surface: Surface) -> float:
    return float(np.ptp(surface.outline[0]) + 2 * surface.margin_m)


def true_middle(mask: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """By a pinhole camera's formula, on every pixel of the exact mask and the exact depth."""
    rows, columns = np.nonzero(mask)
    z = depth[rows, columns].astype(np.float64)
    points = [(columns - MATRIX[0, 2]) * z / FOCAL_PX, (rows - MATRIX[1, 2]) * z / FOCAL_PX, z]
    return np.array([np.median(values) for values in points])
