"""What was drawn of a thing, moved to another frame as it is: no refiner is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.carried_thing import Drawn
from samlite_ros.streaming.carry.reference import NOWHERE, Moment, Reference, unit_of, window_of
from samlite_ros.streaming.carry.ways import Claim, Shape
from samlite_ros.streaming.image.frame_images import Window
from samlite_ros.streaming.tuning import ShapeTuning


@dataclass(frozen=True, eq=False)
class Move:
    """From what was drawn to where its points are now.

    Args:
        window: What is covered now.
        back: (2, 3): from the cells of this window to those of the one that was drawn.
    """

    window: Window
    back: NDArray[np.float64]

    def claim(self, claim: Claim) -> Claim:
        """What was claimed."""
        return Claim(self.window, self._moved(claim.logits, NOWHERE))

    def shape(self, shape: Shape) -> Shape:
        """What was refined."""
        distance = self._moved(shape.distance, NOWHERE / shape.base_logit)
        correction, error = self._moved(shape.correction, 0.0), self._moved(shape.error, 0.0)
        return replace(shape, window=self.window, distance=distance, correction=correction, error=error)

    def _moved(self, cells: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
        flags, size, mode = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cells.shape[::-1], cv2.BORDER_CONSTANT
        moved = cv2.warpAffine(cells, self.back, size, flags=flags, borderMode=mode, borderValue=outside)
        return np.asarray(moved, np.float32)


def move_to(drawn: Drawn, now: Moment, tuning: ShapeTuning) -> Move | None:
    """How what was drawn gets to a later frame, by an affine motion; None = outside the image."""
    window_then, logits = drawn.claim.window, drawn.claim.logits
    n = logits.shape[0]
    per_px = np.float32(window_then.cell_px(n) / tuning.base_logit)
    last = Reference(drawn.moment, window_then, logits * per_px, drawn.area_px, _corners_of(drawn.claim))
    bend = last.motion_to(now.mark, unit_of(now.images.size), None, replace(tuning, bend_points=0))
    window = window_of(last, bend, now.images.size, tuning)
    if window is None:
        return None
    to_cells = np.linalg.inv(_square(window_then.matrix(n)))
    return Move(window, (to_cells @ _square(bend.back) @ _square(window.matrix(n)))[:2])


def _square(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.vstack([matrix, [0, 0, 1]])


def _corners_of(claim: Claim) -> NDArray[np.float32]:
    """Corners of the box of what is claimed, (4, 2) [px]."""
    x, y, w, h = cv2.boundingRect((claim.logits > 0).view(np.uint8))
    corners = np.array([[x, y], [x + w, y], [x, y + h], [x + w, y + h]], np.float32)
    matrix = claim.window.matrix(claim.logits.shape[0])
    return np.asarray(corners @ matrix[:, :2].T + matrix[:, 2], np.float32)
