"""How each thing is drawn: chosen among the ways to draw it by how they would have done at past keyframes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.reference import Reference, cells_in, error_of
from samlite_ros.streaming.image.frame_images import Window
from samlite_ros.streaming.tuning import ShapeTuning


@dataclass(frozen=True)
class Way:
    """One way to draw a thing.

    Args:
        chained: From the newest link of the chain; False: from the keyframe itself.
        trust: How much of the refiner's correction is believed, 0 to 1.
        template: As its template and colours say, not by its points at all.
    """

    chained: bool
    trust: float
    template: bool = False


TEMPLATE = Way(False, 0.0, True)
WAYS = (
    Way(True, 1.0),
    Way(True, 0.5),
    Way(True, 0.0),
    Way(False, 1.0),
    Way(False, 0.5),
    Way(False, 0.0),
    TEMPLATE,
)
"""The first is the usual one."""


@dataclass(frozen=True, eq=False)
class Claim:
    """Log-odds that places belong to a thing.

    Args:
        window: What is covered.
        logits: float32 (rows, columns).
    """

    window: Window
    logits: NDArray[np.float32]

    def in_image(self, shrink: float) -> tuple[float, NDArray[np.float32]]:
        """Area and middle (2,) of what is claimed, in an image so many times smaller than the camera's [px of it]."""
        moments = cv2.moments((self.logits > 0).view(np.uint8), binaryImage=True)
        rows, columns = self.logits.shape
        count = max(moments["m00"], 1e-6)
        x = self.window.x + (moments["m10"] / count + 0.5) * self.window.w / columns
        y = self.window.y + (moments["m01"] / count + 0.5) * self.window.h / rows
        area = moments["m00"] * self.window.w * self.window.h / (rows * columns)
        return area / shrink**2, np.array([x, y], np.float32) / np.float32(shrink)

    def overlap(self, key: Reference, true: NDArray[np.bool_]) -> float:
        """Intersection over union with the shape of a keyframe, `true` (rows, columns) where it is in the window."""
        drawn = self.logits > 0
        cell = self.window.w * self.window.h / drawn.size
        both = float(np.count_nonzero(drawn & true)) * cell
        return min(both / max(float(np.count_nonzero(drawn)) * cell + key.area_px - both, 1e-6), 1.0)


def paste(
    claim: Claim, size: tuple[int, int], shrink_xy: tuple[float, float] = (1, 1)
) -> tuple[int, int, NDArray[np.float32]]:
    """A claim at the pixels of an image of size (h, w), so many times smaller than the camera's.

    Returns:
        Left and upper pixel, and the log-odds (h', w') there.
    """
    window, (sx, sy) = claim.window, shrink_xy
    x0, y0 = max(int(window.x / sx), 0), max(int(window.y / sy), 0)
    x1 = min(int(np.ceil((window.x + window.w) / sx)), size[1])
    y1 = min(int(np.ceil((window.y + window.h) / sy)), size[0])
    if x1 <= x0 or y1 <= y0:
        return x0, y0, np.zeros((0, 0), np.float32)
    rows, columns = claim.logits.shape
    fx, fy = columns / window.w, rows / window.h
    left, top = ((x0 + 0.5) * sx - window.x) * fx - 0.5, ((y0 + 0.5) * sy - window.y) * fy - 0.5
    matrix = np.array([[sx * fx, 0, left], [0, sy * fy, top]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    values = cv2.warpAffine(claim.logits, matrix, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return x0, y0, np.asarray(values, np.float32)


@dataclass(frozen=True, eq=False)
class Shape:
    """One thing in one frame, before anybody chose how to draw it.

    Args:
        window: What is covered.
        distance: float32 (n, n): of the carried shape [cells].
        correction: float32 (n, n): the refiner's log-odds.
        base_logit: Log-odds of one cell of distance.
        surety: How well its motion is known, 0 to 1.
        error: float32 (n, n): what the refiner was told of its error at the keyframe.
    """

    window: Window
    distance: NDArray[np.float32]
    correction: NDArray[np.float32]
    base_logit: float
    surety: float
    error: NDArray[np.float32]

    @cached_property
    def change(self) -> tuple[float, float]:
        """Area of the refined shape over that of the carried one, and the overlap of both."""
        carried = self.distance > 0
        refined = self.claim(1.0).logits > 0
        before, after = int(np.count_nonzero(carried)), int(np.count_nonzero(refined))
        both = int(np.count_nonzero(carried & refined))
        return after / max(before, 1), both / max(before + after - both, 1)

    def claim(self, trust: float, lean: float = 0.0) -> Claim:
        """Where so much of the correction is believed; `lean`: log-odds added to all."""
        logits = self.distance * np.float32(self.base_logit) + np.float32(trust) * self.correction + np.float32(lean)
        return Claim(self.window, logits)


@dataclass(frozen=True, eq=False)
class Foreseen:
    """What each way says of a frame that goes to the network.

    Args:
        chained: From the newest link.
        alone: From the keyframe.
        template: By the template; None = nothing drawn.
    """

    chained: Shape | None
    alone: Shape | None
    template: Claim | None

    def claim(self, way: Way) -> Claim | None:
        """What one way says."""
        if way.template:
            return self.template
        shape = self.chained if way.chained else self.alone
        return None if shape is None else shape.claim(way.trust)

    def errors_noted(self, key: Reference, keep: float) -> Reference:
        """The keyframe's shape, with what was wrong in the one foreseen of it.

        The refiner had corrected that by what it was told of its errors before: `keep` of it is added again."""
        shape = self.chained or self.alone
        if shape is None:
            return key
        error = error_of(key, shape.window, shape.claim(1.0).logits)
        before = cells_in(shape.error, shape.window, key.window, key.distance.shape, 0.0)
        return replace(key, error=error + np.float32(keep) * before)


class WayRecord:
    """How well each way did for one thing."""

    def __init__(self, tuning: ShapeTuning) -> None:
        self._tuning = tuning
        self._errors = np.zeros(len(WAYS))
        self._weights = np.zeros(len(WAYS))

    def note(self, foreseen: Foreseen, key: Reference) -> None:
        """A keyframe came: see how well each way foresaw it; ways that were not asked keep their record."""
        true: dict[Window, NDArray[np.bool_]] = {}
        for index, way in enumerate(WAYS):
            claim = foreseen.claim(way)
            if claim is None:
                continue
            if claim.window not in true:
                rows, columns = claim.logits.shape
                true[claim.window] = key.distance_in(claim.window, (rows, columns)) > 0
            keep = self._tuning.record_keep
            self._errors[index] = keep * self._errors[index] + 1 - claim.overlap(key, true[claim.window])
            self._weights[index] = keep * self._weights[index] + 1

    def chosen(self) -> Way:
        """The way to draw it now: the usual one, unless another had clearly less error."""
        if not self._weights[0]:
            return WAYS[0]
        known = self._weights > 0
        errors = np.where(known, self._errors / np.maximum(self._weights, 1e-9), np.inf)
        errors[0] *= 1 - self._tuning.record_bonus
        return WAYS[int(np.argmin(errors))]
