"""A pinhole camera over a floor: poses, projection, and the planes it looks at.

World: x right, y forward, z up [m], floor at z = 0. Image: x right, y down [px].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_NEAR_M = 0.05


@dataclass(frozen=True)
class CameraPose:
    """Where the camera is and where it looks.

    Args:
        position_m: (x, y, z) [m].
        yaw_rad: Turn to the left about the vertical axis; 0 looks along +y.
        pitch_rad: Downward tilt; 0 looks at the horizon.
    """

    position_m: tuple[float, float, float]
    yaw_rad: float
    pitch_rad: float


@dataclass(frozen=True)
class Camera:
    """A pose with intrinsics.

    Args:
        pose: The pose.
        focal_px: Focal length [px]; the principal point is the image's centre.
        size: (H, W) [px].
    """

    pose: CameraPose
    focal_px: float
    size: tuple[int, int]

    @cached_property
    def axes(self) -> Array:
        """float64 (3, 3): rows are the camera's right, up and forward in the world."""
        yaw, pitch = self.pose.yaw_rad, self.pose.pitch_rad
        ahead = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        forward = np.cos(pitch) * ahead - np.sin(pitch) * np.array([0.0, 0.0, 1.0])
        up = np.sin(pitch) * ahead + np.cos(pitch) * np.array([0.0, 0.0, 1.0])
        return np.stack([[np.cos(yaw), np.sin(yaw), 0.0], up, forward])

    def project(self, points_m: Array) -> tuple[Array, Array]:
        """Project world points.

        Args:
            points_m: float64 (N, 3).

        Returns:
            float64 (N, 2) [px] and float64 (N,) depth along the optical axis [m]; points behind the camera are
            projected as if at 5 cm.
        """
        right, up, depth = (self.axes @ (np.asarray(points_m) - self.pose.position_m).T).astype(np.float64)
        scale = self.focal_px / np.maximum(depth, _NEAR_M)
        h, w = self.size
        return np.stack([w / 2 + right * scale, h / 2 - up * scale], 1), depth

    def ray(self, x_px: float, y_px: float) -> Array:
        """float64 (3,): direction in the world of a pixel's ray, of length 1 along the optical axis."""
        h, w = self.size
        return np.array([(x_px - w / 2) / self.focal_px, (h / 2 - y_px) / self.focal_px, 1.0]) @ self.axes

    def floor_point(self, x_px: float, y_px: float) -> Array | None:
        """float64 (2,): where a pixel's ray meets the floor [m]; None above the horizon."""
        ray = self.ray(x_px, y_px)
        if ray[2] > -1e-3:
            return None
        position = np.array(self.pose.position_m)
        point: Array = position - ray * (position[2] / ray[2])
        return point[:2]

    def plane_homography(self, origin_m: Array, u_m: Array, v_m: Array) -> Array:
        """float64 (3, 3): maps plane coordinates (a, b, 1) of origin + a u + b v to the image [px]."""
        h, w = self.size
        intrinsics = np.array([[self.focal_px, 0, w / 2], [0, -self.focal_px, h / 2], [0, 0, 1.0]])
        columns = np.stack([u_m, v_m, origin_m - np.array(self.pose.position_m)], 1)
        homography: Array = intrinsics @ self.axes @ columns
        return homography
