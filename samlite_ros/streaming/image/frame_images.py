"""One frame at several sizes, made when they are first asked for, and windows cut out of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

NO_MAP = np.empty((0, 0), np.float32)
"""Second map of cv2.remap where the first has x and y."""
MOST_HALVINGS = 3


@dataclass(frozen=True)
class Window:
    """A part of an image: left, upper edge and size [px]; pixel i covers i to i + 1."""

    x: float
    y: float
    w: float
    h: float

    def centers(self, cells: int, step: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pixel places (x, y) of the centers of every `step`-th of so many cells a side, (cells / step,) each."""
        at = np.arange(0, cells, step, dtype=np.float32) + np.float32(0.5)
        return (
            np.float32(self.x - 0.5) + at * np.float32(self.w / cells),
            np.float32(self.y - 0.5) + at * np.float32(self.h / cells),
        )

    def cell_px(self, cells: int) -> float:
        """Mean side of a cell [px]."""
        return float(np.sqrt(self.w * self.h) / cells)

    def to_cells(self, places: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
        """Pixel places (..., 2) as places among the cells."""
        scale = np.array([cells / self.w, cells / self.h], np.float32)
        return np.asarray((places + np.array([0.5 - self.x, 0.5 - self.y], np.float32)) * scale - np.float32(0.5))

    def matrix(self, cells: int) -> NDArray[np.float32]:
        """(2, 3): from cells to pixel places."""
        sx, sy = self.w / cells, self.h / cells
        return np.array([[sx, 0, self.x + sx / 2 - 0.5], [0, sy, self.y + sy / 2 - 0.5]], np.float32)


class FrameImages:
    """A frame's RGB image and its halves.

    Args:
        rgb: uint8 (H, W, 3).
    """

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        self.rgb = rgb
        self._levels = [_several_pixels(rgb)]

    @cached_property
    def gray(self) -> NDArray[np.uint8]:
        """uint8 (H, W)."""
        return np.asarray(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY), np.uint8)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) [px]."""
        return self.rgb.shape[0], self.rgb.shape[1]

    def level(self, cell_px: float) -> int:
        """How often to halve the image for cells of such a size."""
        return int(np.clip(np.floor(np.log2(max(cell_px, 1e-3) * 1.15)), 0, MOST_HALVINGS))

    def halved(self, times: int) -> NDArray[np.uint8]:
        """The image, halved so often, uint8 (h, w, 3)."""
        while len(self._levels) <= times:
            last = self._levels[-1]
            size = max(last.shape[1] // 2, 1), max(last.shape[0] // 2, 1)
            half = np.asarray(cv2.resize(last, size, interpolation=cv2.INTER_AREA), np.uint8)
            self._levels.append(_several_pixels(half))
        return self._levels[times]

    def shrunk(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The image at size (h, w); one of its halves where that is it."""
        h, w = size
        if (self.size[0] // 2, self.size[1] // 2) == size:
            return self.halved(1)
        return np.asarray(cv2.resize(self._levels[0], (w, h), interpolation=cv2.INTER_AREA), np.uint8)

    def cut(self, window: Window, cells: int) -> NDArray[np.uint8]:
        """The window as (cells, cells, 3); black outside the image."""
        times = self.level(window.cell_px(cells))
        image, shrink = self.halved(times), float(1 << times)
        matrix = window.matrix(cells)
        matrix[:, :2] /= shrink
        matrix[:, 2] = (matrix[:, 2] + 0.5) / shrink - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(image, matrix, (cells, cells), flags=flags), np.uint8)

    def at(self, places: NDArray[np.float32], cell_px: float) -> NDArray[np.uint8]:
        """Colours at pixel places (h, w, 2) that are so far apart [px], (h, w, 3); at the border beyond it."""
        times = self.level(cell_px)
        shrink = np.float32(1 << times)
        own = places if times == 0 else (places + np.float32(0.5)) / shrink - np.float32(0.5)
        found = cv2.remap(self.halved(times), own, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.uint8)


def _several_pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image; a single pixel, which OpenCV before 4.6 takes for three rows, as four."""
    return image if image.shape[:2] != (1, 1) else np.tile(image, (2, 2, 1))
