"""A depth image in the pixels of its camera image, in metres."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import PlaceError
from samlite_ros.space.rays import same_view
from samlite_ros.types import DepthImage

Field = NDArray[np.float32]
RANGE_M = (0.001, 1000.0)
"""What a depth camera may measure [m]; all else was not measured."""
BLIND_SHARE, BLIND_STRIDE = 0.005, 4
"""A depth image of which no more was measured, of every so many pixels, says nothing."""
_SATURATED_MM = np.iinfo(np.uint16).max


class DepthGrid:
    """Serves windows of a depth image that was registered into a camera's view.

    Args:
        depth: The depth image; one of another size is scaled.
        size: (H, W) of the camera image [px].

    Raises:
        PlaceError: The sizes are not of one view.
    """

    def __init__(self, depth: DepthImage, size: tuple[int, int]) -> None:
        values = depth.depth
        if depth.size != size:
            if not same_view(size, depth.size):
                raise PlaceError(
                    f"the depth image has {depth.size[1]} x {depth.size[0]} pixels, the image {size[1]} x {size[0]}: "
                    "another view; depth must be registered to the image"
                )
            values = cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
        self.reach_px = -(-size[1] // depth.size[1])
        """Neighbours of the depth image lie so far apart [px]."""
        reach = self.reach_px
        self._padded = np.pad(_in_metres(values), reach)

    def window(self, x0: int, y0: int, x1: int, y1: int, stride: int, dx: int = 0, dy: int = 0) -> Field:
        """float32 (h, w) [m], a view: every `stride`th pixel of a window; 0 = not measured.

        Args:
            x0, y0, x1, y1: The window in the image [px]; exclusive at the right and below.
            stride: Between two pixels [px].
            dx, dy: -1, 0 or 1: the neighbours on this side instead; beyond the image is nothing.
        """
        left, top = x0 + (1 + dx) * self.reach_px, y0 + (1 + dy) * self.reach_px
        return np.asarray(self._padded[top : top + y1 - y0 : stride, left : left + x1 - x0 : stride], np.float32)

    @property
    def measures_nothing(self) -> bool:
        """Next to no pixel was measured."""
        looked_at = self._padded[::BLIND_STRIDE, ::BLIND_STRIDE]
        return bool(np.count_nonzero(looked_at) <= BLIND_SHARE * looked_at.size)


def _in_metres(values: NDArray[np.float32] | NDArray[np.uint16]) -> Field:
    if values.dtype == np.uint16:
        metres = values * np.float32(0.001)
        metres[values == _SATURATED_MM] = 0
        return metres
    is_measured = (values >= RANGE_M[0]) & (values <= RANGE_M[1])  # NaN is neither
    return np.where(is_measured, values, np.float32(0)).astype(np.float32, copy=False)
