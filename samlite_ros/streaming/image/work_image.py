"""A frame prepared for carrying masks, and the motion between two frames.

Everything between two keyframes is computed on a *work image*: the camera image shrunk so that its longer side has
320 pixels (`ImageTuning.long_side_px`). Masks are drawn on a *fine grid* of twice that resolution, so that borders keep
sub-pixel places.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.frame_images import NO_MAP, FrameImages
from samlite_ros.streaming.tuning import ImageTuning, MotionTuning, Tuning
from samlite_ros.types import Frame

FINE = 2
"""Fine pixels per work pixel."""
GRID_START_PX = 1
"""Place of the first of the advected grid points [work px]."""
COLOR_BITS = 4
COLORS = 1 << (3 * COLOR_BITS)
"""Number of bins of the colour index."""
SMOOTHING = np.asarray(sum(w * np.eye(1 << COLOR_BITS, k=k) for k, w in ((-1, 0.25), (0, 0.5), (1, 0.25))), np.float32)
"""Weights 1/4, 1/2, 1/4 along one axis, symmetric (16, 16)."""


@dataclass(frozen=True, eq=False)
class WorkImage:
    """A frame prepared for carrying masks.

    Args:
        stamp_ns: Stamp of the frame [ns].
        camera_size: (H, W) of the frame [px].
        color: uint8 (h, w, 3), RGB, slightly blurred: what templates are compared with.
        color_index: uint16 (h, w): bin of the colour, 4 bits per channel.
        gray: uint8 (h / `MotionTuning.shrink`, w / the same): input of the dense flow.
        smooth: float32 (h / 2, w / 2, 3): blurred, for noticing change.
        camera: The frame itself, and its halves.
    """

    stamp_ns: int
    camera_size: tuple[int, int]
    color: NDArray[np.uint8]
    color_index: NDArray[np.uint16]
    gray: NDArray[np.uint8]
    smooth: NDArray[np.float32]
    camera: FrameImages

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) [work px]."""
        return self.color.shape[0], self.color.shape[1]

    @property
    def camera_scale(self) -> tuple[float, float]:
        """Camera pixels per work pixel, (y, x)."""
        return self.camera_size[0] / self.size[0], self.camera_size[1] / self.size[1]


def work_size(camera_size: tuple[int, int], tuning: ImageTuning) -> tuple[int, int]:
    """(h, w) of the work image of a camera image (H, W); images smaller than it keep their size."""
    height, width = camera_size
    factor = max(1.0, max(height, width) / tuning.long_side_px)
    return max(2, round(height / factor)), max(2, round(width / factor))


def prepare(frame: Frame, tuning: Tuning) -> WorkImage:
    """Shrink, blur and index one frame."""
    h, w = work_size(frame.size, tuning.image)
    camera = FrameImages(frame.image)
    shrunk = camera.shrunk((h, w))
    color = np.asarray(cv2.GaussianBlur(shrunk, (3, 3), tuning.image.blur_sigma_px), np.uint8)
    red, green, blue = (np.asarray(channel, np.uint8) >> (8 - COLOR_BITS) for channel in cv2.split(color))
    color_index = np.asarray((red.astype(np.uint16) << (2 * COLOR_BITS)) | ((green << COLOR_BITS) | blue), np.uint16)
    small = np.asarray(cv2.resize(shrunk, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA), np.uint8)
    flow_size = max(1, round(w / tuning.motion.shrink)), max(1, round(h / tuning.motion.shrink))
    gray = cv2.resize(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), flow_size, interpolation=cv2.INTER_AREA)
    smooth = np.asarray(cv2.blur(small.astype(np.float32), (3, 3)), np.float32)
    return WorkImage(frame.stamp_ns, frame.size, color, color_index, np.asarray(gray, np.uint8), smooth, camera)


@dataclass(frozen=True, eq=False)
class DenseFlow:
    """Motion of all pixels from one frame to the next.

    Args:
        motion: float32 (h', w', 2) [px of its own].
        work_size: (h, w) of the work images [px].
    """

    motion: NDArray[np.float32]
    work_size: tuple[int, int]

    def at(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Motion at points (M, N, 2) [work px]; outside the image that of its border."""
        factor = (np.array(self.work_size[::-1]) / self.motion.shape[1::-1]).astype(np.float32)
        own = points / factor + (0.5 / factor - np.float32(0.5))
        moved = cv2.remap(self.motion, own, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved * factor, np.float32)

    def advect(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move points (M, N, 2) along with the image."""
        return points + self.at(points)


def dense_flow(previous: WorkImage, current: WorkImage, tuning: MotionTuning) -> DenseFlow:
    """Motion of all pixels from one frame to the next.

    Farneback's method, for on plain surfaces it beats the faster DIS.
    """
    if not tuning.enabled:
        return no_flow(current)
    motion = np.empty((*current.gray.shape, 2), np.float32)
    cv2.calcOpticalFlowFarneback(
        previous.gray,
        current.gray,
        motion,
        tuning.pyramid_scale,
        tuning.pyramid_levels,
        tuning.window_px,
        tuning.iterations,
        tuning.neighbourhood_px,
        tuning.neighbourhood_sigma_px,
        0,
    )
    return DenseFlow(motion, current.size)


def no_flow(image: WorkImage) -> DenseFlow:
    """The flow of an image that stands still."""
    return DenseFlow(np.zeros((*image.gray.shape, 2), np.float32), image.size)


def point_grid(size: tuple[int, int], tuning: ImageTuning) -> NDArray[np.float32]:
    """Points all over a work image, float32 (M, N, 2)."""
    step = tuning.grid_step_px
    y, x = np.mgrid[GRID_START_PX : size[0] : step, GRID_START_PX : size[1] : step]
    return np.dstack([x, y]).astype(np.float32)


def histogram(color_index: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Share of each colour among some pixels, smoothed over neighbouring colours, float32 (4096,)."""
    bins = 1 << COLOR_BITS
    counts = np.bincount(color_index.ravel(), minlength=COLORS).astype(np.float32)
    along_red = (SMOOTHING @ counts.reshape(bins, -1)).reshape(bins, bins, bins)
    smooth = (SMOOTHING @ along_red @ SMOOTHING).ravel()
    return np.asarray(smooth / (smooth.sum() + np.float32(1e-9)), np.float32)


def similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Bhattacharyya coefficient of two histograms: 1 = the same colours, 0 = none in common."""
    return float(np.sqrt(a * b).sum())
