"""Where the pixels of a calibrated camera look: points are undistorted, not images."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import CalibrationError
from samlite_ros.types import CameraCalibration

GRID_PX = 4
"""Rays are undistorted at every so many pixels [px] and interpolated between: to 0.03 px."""
ASPECT_TOLERANCE = 0.02
"""Images of one view have the same ratio of width to height, up to rounding."""
_ITERATIONS = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-9)
_FISHEYE_MODELS = ("equidistant", "fisheye", "kannala_brandt", "kannala_brandt4")
_POLYNOMIAL_MODELS = ("plumb_bob", "rational_polynomial", "thin_prism", "")

Points = NDArray[np.float64]


class Rays:
    """The ray of each pixel of an image of one size, as a calibrated camera of that view sees them.

    Args:
        calibration: Of the camera; its image may be of another size, but of the same view.
        size: (H, W) of the image [px].

    Raises:
        CalibrationError: The distortion model is unknown or has the wrong number of values; the sizes are not of one
            view; the matrix is none of a camera.
    """

    def __init__(self, calibration: CameraCalibration, size: tuple[int, int]) -> None:
        self.size = size
        self.camera_matrix = scaled_matrix(calibration, size)
        self._undistort = _undistortion(calibration)
        self._distortion = calibration.distortion

    @property
    def focal_px(self) -> float:
        """Mean focal length [px]."""
        return float((self.camera_matrix[0, 0] + self.camera_matrix[1, 1]) / 2)

    def at(self, pixels: Points) -> Points:
        """Exact rays of some pixels.

        Args:
            pixels: float64 (N, 2), x and y [px]; whole numbers are pixels' centres.

        Returns:
            float64 (N, 2): x/z and y/z. Where no ray meets the pixel they are NaN.
        """
        if not np.any(self._distortion):
            k = self.camera_matrix
            y = (pixels[:, 1] - k[1, 2]) / k[1, 1]
            return np.stack([(pixels[:, 0] - k[0, 2] - k[0, 1] * y) / k[0, 0], y], 1)
        return self._undistort(np.ascontiguousarray(pixels, np.float64)[:, None], self.camera_matrix)

    @cached_property
    def has_gaps(self) -> bool:
        """Some pixels are met by no ray."""
        return not np.isfinite(self.grid).all()

    @cached_property
    def grid(self) -> NDArray[np.float32]:
        """float32 (2, H, W): x/z and y/z of every pixel. Where no ray meets the pixel they are NaN."""
        h, w = self.size
        ys, xs = np.arange(0, h + GRID_PX, GRID_PX), np.arange(0, w + GRID_PX, GRID_PX)
        nodes = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float64)
        coarse = self.at(nodes).astype(np.float32).reshape(len(ys), len(xs), 2)
        map_x, map_y = np.meshgrid(np.arange(w, dtype=np.float32) / GRID_PX, np.arange(h, dtype=np.float32) / GRID_PX)
        fine = cv2.remap(coarse, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(np.moveaxis(fine, 2, 0))


def scaled_matrix(calibration: CameraCalibration, size: tuple[int, int]) -> Points:
    """float64 (3, 3): the camera's matrix for an image of this size (H, W).

    Raises:
        CalibrationError: The sizes are not of one view, or the matrix is none of a camera.
    """
    (h, w), (calibrated_h, calibrated_w) = size, calibration.size
    if not np.array_equal(calibration.camera_matrix[2], (0, 0, 1)):
        raise CalibrationError(f"the last row of K is {calibration.camera_matrix[2].tolist()}, expected 0, 0, 1")
    if calibrated_h <= 0 or calibrated_w <= 0:  # a driver that leaves the size out means the image's own
        return calibration.camera_matrix
    if not same_view(size, calibration.size):
        raise CalibrationError(
            f"the calibration is of {calibrated_w} x {calibrated_h} pixels, the image of {w} x {h}: another view"
        )
    sx, sy = w / calibrated_w, h / calibrated_h
    scale = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1.0]])  # whole numbers are pixels' centres
    return np.asarray(scale @ calibration.camera_matrix)


def same_view(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Two sizes (H, W) have the same ratio of width to height."""
    return abs(size[1] * other[0] / (size[0] * other[1]) - 1) <= ASPECT_TOLERANCE


def _undistortion(calibration: CameraCalibration) -> Callable[[Points, Points], Points]:
    model, count = calibration.distortion_model, len(calibration.distortion)
    if model in _FISHEYE_MODELS and count in (0, 4):
        return lambda pixels, matrix: _undistort_fisheye(pixels, matrix, calibration.distortion)
    if model in _POLYNOMIAL_MODELS and count in (0, 4, 5, 8, 12, 14):
        return lambda pixels, matrix: _undistort_polynomial(pixels, matrix, calibration.distortion)
    known = ", ".join(name for name in (*_POLYNOMIAL_MODELS, *_FISHEYE_MODELS) if name)
    raise CalibrationError(
        f"distortion model {model!r} with {count} values is not read: {known} are, with 4 to 14 values (fisheye: 4)"
    )


def _undistort_polynomial(pixels: Points, matrix: Points, distortion: Points) -> Points:
    found = cv2.undistortPointsIter(pixels, matrix, distortion, np.eye(3), np.eye(3), _ITERATIONS)[:, 0]
    rays = np.asarray(found, np.float64)
    return _checked(rays, _project_polynomial(rays, matrix, distortion), pixels[:, 0])


def _project_polynomial(rays: Points, matrix: Points, distortion: Points) -> Points:
    zero = np.zeros(3)
    points = np.column_stack([rays, np.ones(len(rays))])
    return np.asarray(cv2.projectPoints(points, zero, zero, matrix, distortion)[0][:, 0])


def _undistort_fisheye(pixels: Points, matrix: Points, distortion: Points) -> Points:
    rays = cv2.fisheye.undistortPoints(pixels, matrix, distortion)[:, 0]
    back = cv2.fisheye.distortPoints(rays[:, None], matrix, distortion)[:, 0]
    return _checked(np.asarray(rays, np.float64), np.asarray(back, np.float64), pixels[:, 0])


def _checked(rays: Points, back: Points, pixels: Points) -> Points:
    """NaN where a ray does not lead back to its pixel [px]: outside what the model describes it does not converge."""
    lost = ~(np.abs(back - pixels).max(1) < 0.5)
    return np.where(lost[:, None], np.nan, rays)
