"""Rays of distorted cameras lead back to their pixels, by the models' formulas written out here."""

import numpy as np
import pytest

from samlite_ros.errors import CalibrationError
from samlite_ros.space.rays import Rays
from samlite_ros.types import CameraCalibration

SIZE = (480, 640)
MATRIX = np.array([[420.0, 0, 322.3], [0, 418.0, 236.8], [0, 0, 1]])
PLUMB_BOB = [-0.31, 0.11, 0.0012, -0.0007, -0.02]
RATIONAL = [0.45, -0.15, 0.0004, -0.0003, 0.01, 0.55, -0.1, 0.02]
FISHEYE = [-0.02, 0.006, -0.004, 0.0007]


def polynomial(rays: np.ndarray, d: list[float]) -> np.ndarray:
    x, y = rays.T
    k1, k2, p1, p2, k3, k4, k5, k6 = (*d, *[0.0] * (8 - len(d)))
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack([bent_x, bent_y], 1)


def equidistant(rays: np.ndarray, d: list[float]) -> np.ndarray:
    radius = np.hypot(*rays.T)
    theta = np.arctan(radius)
    bent = theta * (1 + theta**2 * (d[0] + theta**2 * (d[1] + theta**2 * (d[2] + theta**2 * d[3]))))
    return rays * (bent / np.maximum(radius, 1e-12))[:, None]


def calibration(model: str, d: list[float], size: tuple[int, int] = SIZE) -> CameraCalibration:
    return CameraCalibration(MATRIX, np.array(d), model, size, 1, "optical")


@pytest.mark.parametrize(
    ("model", "d", "bend"),
    [
        ("plumb_bob", [], polynomial),
        ("plumb_bob", [0.0] * 5, polynomial),
        ("plumb_bob", PLUMB_BOB, polynomial),
        ("rational_polynomial", RATIONAL, polynomial),
        ("equidistant", FISHEYE, equidistant),
        ("fisheye", FISHEYE, equidistant),
    ],
)
def test_every_ray_leads_back_to_its_pixel(model, d, bend) -> None:
    grid = Rays(calibration(model, d), SIZE).grid.reshape(2, -1).T.astype(np.float64)
    pixels = np.stack(np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0])), -1).reshape(-1, 2)
    there = np.isfinite(grid).all(1)
    back = bend(grid[there], d) * MATRIX[[0, 1], [0, 1]] + MATRIX[:2, 2]
    assert there.mean() > 0.99
    off_px = np.abs(back - pixels[there]).max(1)
    assert np.quantile(off_px, 0.99) < 0.03 and off_px.max() < 0.5


def test_pixels_that_no_ray_meets_have_none() -> None:
    rays = Rays(calibration("plumb_bob", [-0.6, 0.0, 0, 0, 0]), SIZE)  # folds back before the corners
    assert np.isnan(rays.at(np.array([[0.0, 0.0]]))).all()
    assert np.isfinite(rays.at(np.array([[320.0, 240.0]]))).all()


def test_an_image_of_half_the_size_has_the_same_rays() -> None:
    half = Rays(calibration("plumb_bob", PLUMB_BOB), (240, 320))
    whole = Rays(calibration("plumb_bob", PLUMB_BOB), SIZE)
    middle_of_four = np.array([[100.5, 60.5]])
    assert half.at(np.array([[50.0, 30.0]])) == pytest.approx(whole.at(middle_of_four), abs=1e-9)


@pytest.mark.parametrize(
    ("model", "d", "size", "words"),
    [
        ("unified", [0.1] * 4, SIZE, "unified"),
        ("equidistant", [0.1] * 5, SIZE, "with 5 values"),
        ("plumb_bob", [0.1] * 3, SIZE, "with 3 values"),
        ("plumb_bob", PLUMB_BOB, (480, 480), "another view"),
    ],
)
def test_what_cannot_be_is_refused_in_words(model, d, size, words) -> None:
    with pytest.raises(CalibrationError, match=words):
        Rays(calibration(model, d, size), SIZE)


def test_a_matrix_that_is_no_camera_s_is_refused() -> None:
    with pytest.raises(CalibrationError, match="last row"):
        Rays(CameraCalibration(np.ones((3, 3)), np.zeros(0), "plumb_bob", SIZE, 1, "optical"), SIZE)


def test_a_driver_that_tells_no_size_means_that_of_the_image() -> None:
    assert Rays(calibration("plumb_bob", [], (0, 0)), SIZE).camera_matrix[0, 2] == MATRIX[0, 2]
