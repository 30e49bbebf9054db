"""What the network found in a keyframe, as models are learnt from it: masks on the fine grid, and room around."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.work_image import FINE, WorkImage, histogram
from samlite_ros.streaming.tuning import AppearanceTuning


@dataclass(frozen=True, eq=False)
class KeyframeMask:
    """An instance of a keyframe on the fine grid, in a window that starts at a whole work pixel.

    Args:
        x0, y0: Upper left corner of the window [work px].
        fine: bool (2 h, 2 w).
    """

    x0: int
    y0: int
    fine: NDArray[np.bool_]

    @property
    def inside(self) -> NDArray[np.bool_]:
        """bool (h, w): every second fine pixel."""
        return self.fine[::FINE, ::FINE]

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of the window in a work image."""
        h, w = self.inside.shape
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)

    @property
    def box_xyxy(self) -> tuple[int, int, int, int]:
        """The window [work px]; exclusive at the right and below."""
        h, w = self.inside.shape
        return self.x0, self.y0, self.x0 + w, self.y0 + h


class PaddedKeyframe:
    """A keyframe with room around it, and which instance owns which pixel.

    Args:
        image: The keyframe.
        masks: All instances found in it.
        tuning: How wide the room is.
    """

    def __init__(self, image: WorkImage, masks: list[KeyframeMask], tuning: AppearanceTuning) -> None:
        self.masks = masks
        self._pad_px = tuning.pad_px
        pad = (self._pad_px,) * 4
        self.size = image.size
        self.color = np.asarray(cv2.copyMakeBorder(image.color, *pad, cv2.BORDER_REPLICATE), np.uint8)
        self.color_index = np.asarray(cv2.copyMakeBorder(image.color_index, *pad, cv2.BORDER_REPLICATE), np.uint16)
        self.labels = paint_labels(masks, image.size)
        outside = cv2.copyMakeBorder(self.labels, *pad, cv2.BORDER_CONSTANT, value=(-1,))
        self._padded_labels = np.asarray(outside, np.int16)
        self.background = histogram(image.color_index[::2, ::2][self.labels[::2, ::2] == 0])

    def crop(self, box_xyxy: tuple[int, int, int, int]) -> tuple[slice, slice]:
        """Index of a box [work px] in the padded arrays."""
        pad = self._pad_px
        x0, y0, x1, y1 = box_xyxy
        return slice(y0 + pad, y1 + pad), slice(x0 + pad, x1 + pad)

    def labels_in(self, crop: tuple[slice, slice]) -> NDArray[np.int16]:
        """int16 (h, w): 1-based index of the owner, 0 = none, -1 = outside the image."""
        return self._padded_labels[crop]


def paint_labels(masks: list[KeyframeMask], size: tuple[int, int]) -> NDArray[np.int16]:
    """1-based index of the instance that owns each work pixel, 0 = none; small ones lie on top; int16 (h, w)."""
    labels = np.zeros(size, np.int16)
    for index in sorted(range(len(masks)), key=lambda i: -np.count_nonzero(masks[i].inside)):
        mask = masks[index]
        labels[mask.window][mask.inside] = index + 1
    return labels
