"""What one image says about where a thing is: the middle of its visible surface, how sure it is, and the box around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlite_ros.space.frames import Transform
from samlite_ros.space.rays import Rays
from samlite_ros.space.surface import TUNING, Surface

Array = NDArray[np.float64]
MASK_ERROR_PX = 1.5
"""Standard deviation of a carried mask's middle [px]."""
BIAS_SHARE = 0.5
"""So much of a pixel's noise is common to all pixels of a thing, and stays in the median."""
BORDER_ERROR = 1.5
"""Standard deviation of the depth that the border would add, which is not looked at: of the spread, for all of it."""
LEAST_SIGMA_M = 1e-4
"""No depth camera knows better [m]."""
_EYE = np.eye(3)


@dataclass(frozen=True, eq=False)
class Measurement:
    """Of one thing in one image; all in the frame that the transform leads to.

    Args:
        position_m: float64 (3,) [m].
        covariance_m2: float64 (3, 3) [m^2].
        box_center_m, box_size_m: float64 (3,) [m]; edges along the axes of the frame.
        surface: What it is made of, in the camera's optical frame.
        points_m: float32 (N, 3) [m].
    """

    position_m: Array
    covariance_m2: Array
    box_center_m: Array
    box_size_m: Array
    surface: Surface
    points_m: NDArray[np.float32]


def measure(surface: Surface, rays: Rays, transform: Transform) -> Measurement:
    """Make a measurement of a surface.

    Args:
        surface: As the camera sees it.
        rays: Of the camera.
        transform: From its optical frame to the one that is wanted.
    """
    half = surface.core.shape[1] // 2
    middle = np.partition(surface.core, half, axis=1)[:, half].astype(np.float64)
    outline = transform.points(surface.outline)
    margin = np.abs(transform.rotation[:, :2]).sum(1) * surface.margin_m  # sideways in the image only
    low, high = outline.min(1) - margin, outline.max(1) + margin
    return Measurement(
        position_m=transform.points(middle[:, None])[:, 0],
        covariance_m2=transform.covariance(_covariance(middle, surface, rays.focal_px)),
        box_center_m=(low + high) / 2,
        box_size_m=high - low,
        surface=surface,
        points_m=transform.points(surface.core).T,
    )


def _covariance(middle: Array, surface: Surface, focal_px: float) -> Array:
    """float64 (3, 3) [m^2]: along the ray the depth's error, across it the mask's."""
    along = middle[:, None] * middle / (middle @ middle)
    noise_m = TUNING.noise_per_m * middle[2] ** 2
    depth_m2 = (BIAS_SHARE * noise_m) ** 2 + 1.57 * surface.spread_m**2 / surface.core.shape[1]  # of a median
    border_share = max(1 - surface.core.shape[1] / surface.outline.shape[1], 0.0)
    depth_m2 += (BORDER_ERROR * surface.spread_m * border_share) ** 2
    across_m2 = (MASK_ERROR_PX * middle[2] / focal_px) ** 2
    return np.asarray(depth_m2 * along + across_m2 * (_EYE - along) + LEAST_SIGMA_M**2 * _EYE)
