"""From one frame to another: a rigid transform, and who knows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Transform:
    """Takes points of one frame to another.

    Args:
        rotation: float64 (3, 3).
        translation_m: float64 (3,) [m].
    """

    rotation: Array
    translation_m: Array

    def points(self, points_m: NDArray[Any]) -> NDArray[Any]:
        """(3, N) [m], of the type of the given ones."""
        if self is IDENTITY:
            return points_m
        rotated = self.rotation.astype(points_m.dtype) @ points_m
        return np.asarray(rotated + self.translation_m.astype(points_m.dtype)[:, None])

    def covariance(self, covariance_m2: Array) -> Array:
        """float64 (3, 3) [m^2]."""
        return np.asarray(self.rotation @ covariance_m2 @ self.rotation.T)


LARGEST_M = 1e8
"""Further away nothing is that a robot knows of [m]."""
LEAST_NORM = 1e-3
"""Of a quaternion; a shorter one turns to nowhere."""


def transform_of(
    translation_m: tuple[float, float, float], quaternion: tuple[float, float, float, float]
) -> Transform | None:
    """A transform of a translation [m] and a quaternion (x, y, z, w), as geometry_msgs/Transform has them.

    Returns:
        None = it is none: not finite, too far, or no rotation.
    """
    norm = math.hypot(*quaternion)
    if not (LEAST_NORM < norm < 1 / LEAST_NORM and float(np.abs(translation_m).max()) <= LARGEST_M):  # NaN is neither
        return None
    x, y, z, w = np.array(quaternion, np.float64) / norm
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return Transform(rotation, np.array(translation_m, np.float64))


IDENTITY = Transform(np.eye(3), np.zeros(3))


class Transforms(Protocol):
    """Knows how frames lie to each other."""

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform | None:
        """What takes points of `source` to `target` at a time [ns]; None = not known, or not yet. Never waits."""
        ...
