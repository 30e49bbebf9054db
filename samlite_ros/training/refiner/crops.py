"""Crops to train the refiner on: what carrying makes of a clip, with the truth of what it should have been.

Things are carried as at run time, from many keyframes at once, by the same points; with a refiner given, links of the
chain are made by it, so that it learns from its own errors; without one they are the truth, spoilt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.planes import PLANES, Carried, planes_of
from samlite_ros.streaming.carry.reference import (
    Moment,
    Reference,
    camera_between,
    colors_of,
    error_of,
    reference_from_logits,
    reference_from_mask,
    unit_of,
    window_of,
)
from samlite_ros.streaming.carry.refiner import Refiner
from samlite_ros.streaming.image.frame_images import FrameImages, Window
from samlite_ros.streaming.image.point_pool import CORNER_SHRINK, PointPool
from samlite_ros.streaming.model.bend import Bend
from samlite_ros.streaming.model.thing_colors import ThingColors
from samlite_ros.streaming.tuning import Tuning
from samlite_ros.training.refiner.clips import Clip

TUNING = Tuning()
"""The tuning that the weights are for."""
SHAPES = TUNING.shapes
TILE = 116
"""Cells of a crop along either side: those of a window and a rim for augmentation."""
SCALES = np.array([254, 254, 254, 63, 63, 127, 63, 63, 63, 63, 63, 63, 127, 63], np.float32)[:, None, None]
"""Factors by which planes are stored as int8."""
LEAST_PX = 150
UNSURE_POSE = 0.3
"""Share of the crops whose motion is spoilt."""


@dataclass(frozen=True, eq=False)
class Crop:
    """One sample.

    Args:
        planes: int8 (PLANES, TILE, TILE), times SCALES.
        truth: uint8 (TILE, TILE): share of the cell that is the thing, times 255.
        valid: uint8 (TILE, TILE): 255 inside the image.
        gap: Frames since the keyframe.
        clip: Name of the clip.
        sources: Names of the sequences that it is made of, joined by "@".
    """

    planes: NDArray[np.int8]
    truth: NDArray[np.uint8]
    valid: NDArray[np.uint8]
    gap: int
    clip: str
    sources: str


@dataclass(eq=False)
class _Carried:
    """A thing carried from one keyframe through the clip."""

    thing: int
    key: Reference
    link: Reference
    colors: ThingColors
    phase: int
    chained: bool


def crops_of(
    rng: np.random.Generator, clip: Clip, every: int, per_keyframe: int, refiner: Refiner | None, longest: int = 46
) -> Iterator[Crop]:
    """Crops of one clip.

    Args:
        rng: Chance.
        clip: The clip.
        every: Frames from keyframe to keyframe.
        per_keyframe: Crops of each thing of a keyframe, about; short gaps are more frequent than long ones.
        refiner: Makes the links of the chain; None = the truth, spoilt.
        longest: Most frames since the keyframe.
    """
    pool = PointPool(SHAPES)
    carried: list[_Carried] = []
    before: FrameImages | None = None
    first = int(rng.integers(0, every))
    share = per_keyframe / (2 * np.sqrt(longest))
    for number, (image, label) in enumerate(zip(clip.images, clip.labels, strict=True)):
        images = FrameImages(image)
        if before is not None:
            pool.follow(before.gray, images.gray)
        before = images
        size = label.shape[1] // CORNER_SHRINK, label.shape[0] // CORNER_SHRINK
        pool.seed(images.gray, np.asarray(cv2.resize(label, size, interpolation=cv2.INTER_NEAREST), np.uint8))
        pool.keep_only([m for c in carried for m in (c.key.moment.mark, c.link.moment.mark)])
        moment = Moment(number, int(number / clip.rate_hz * 1e9), images, pool.mark())
        carried = [c for c in carried if number - c.key.moment.number <= longest]
        for one in carried:
            gap = number - one.key.moment.number
            if (
                rng.random() < share / np.sqrt(gap)
                and (crop := _crop(rng, one, moment, label, pool, clip, gap)) is not None
            ):
                yield crop
            if one.chained and gap % SHAPES.link_every == one.phase:
                _make_link(rng, one, moment, label, pool, refiner)
        if number % every == first and number < len(clip.images) - 2:
            carried += _keyframe(rng, moment, label, carried, pool, refiner)


def _keyframe(
    rng: np.random.Generator,
    moment: Moment,
    label: NDArray[np.uint8],
    carried: Sequence[_Carried],
    pool: PointPool,
    refiner: Refiner | None,
) -> list[_Carried]:
    out = []
    for thing in np.unique(label):
        mask = label == thing
        if thing == 0 or np.count_nonzero(mask) < LEAST_PX:
            continue
        shown = _bent(rng, mask, 4.0) if rng.random() < 0.3 else mask
        key = reference_from_mask(moment, shown, SHAPES)
        before = [c for c in carried if c.thing == thing]
        if key is not None and before and refiner is not None:
            recent = 1 / np.array([moment.number - c.key.moment.number for c in before])
            key = _with_error(key, before[int(rng.choice(len(before), p=recent / recent.sum()))], pool, refiner)
        if key is not None:
            phase = int(rng.integers(0, SHAPES.link_every))
            out.append(_Carried(int(thing), key, key, colors_of(key, TUNING), phase, rng.random() < 0.75))
    return out


def _bent(rng: np.random.Generator, mask: NDArray[np.bool_], size_px: float = 3.0) -> NDArray[np.bool_]:
    """A network's imperfect mask: its border bent, (H, W)."""
    cells = mask.astype(np.uint8)
    distance = cv2.distanceTransform(cells, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - cells, cv2.DIST_L2, 3)
    coarse = rng.standard_normal((mask.shape[0] // 32 + 1, mask.shape[1] // 32 + 1)).astype(np.float32)
    bend = cv2.resize(coarse, mask.shape[::-1], interpolation=cv2.INTER_CUBIC) * np.float32(rng.uniform(0, size_px))
    return np.asarray(distance + bend > 0)


def _spoilt(rng: np.random.Generator, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What a chain may have made of a mask: bent, shifted, with parts lost or added."""
    root = np.sqrt(np.count_nonzero(mask))
    out = _bent(rng, mask, 0.08 * root)
    if rng.random() < 0.4:
        rows, columns = np.nonzero(cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)))
        at = int(rng.integers(len(rows)))
        blot = np.zeros(mask.shape, np.uint8)
        axes = tuple(int(max(root * rng.uniform(0.05, 0.25), 2)) for _ in range(2))
        cv2.ellipse(blot, (int(columns[at]), int(rows[at])), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        out = out | (blot > 0) if rng.random() < 0.4 else out & (blot == 0)
    return out


def _make_link(
    rng: np.random.Generator,
    one: _Carried,
    moment: Moment,
    label: NDArray[np.uint8],
    pool: PointPool,
    refiner: Refiner | None,
) -> None:
    if refiner is None:
        mask = label == one.thing
        if np.count_nonzero(mask) < LEAST_PX:
            return
        mask = _spoilt(rng, mask)
        link = reference_from_mask(moment, mask, SHAPES) if np.count_nonzero(mask) >= LEAST_PX else None
    else:
        key, last = _both(one, moment, pool)
        window = window_of(one.link, last.bend, moment.images.size, SHAPES)
        if window is None:
            return
        link = reference_from_logits(moment, window, _logits(refiner, moment, window, key, last, one.colors), SHAPES)
    if link is not None:
        one.link = link


def _logits(
    refiner: Refiner, moment: Moment, window: Window, key: Carried, link: Carried, colors: ThingColors
) -> NDArray[np.float32]:
    planes = planes_of(moment.images, window, SHAPES.cells, key, link, colors, SHAPES)
    return planes.distance * np.float32(SHAPES.base_logit) + refiner(planes.values)


def _with_error(key: Reference, before: _Carried, pool: PointPool, refiner: Refiner) -> Reference:
    """A keyframe with what was wrong in the shape that an earlier one foresaw, told nothing of its errors."""
    first, link = _both(before, key.moment, pool)
    window = window_of(before.link, link.bend, key.moment.images.size, SHAPES)
    if window is None:
        return key
    untold = replace(first, reference=replace(first.reference, error=None))
    logits = _logits(refiner, key.moment, window, untold, untold if link is first else link, before.colors)
    return replace(key, error=error_of(key, window, logits))


def _both(one: _Carried, moment: Moment, pool: PointPool) -> tuple[Carried, Carried]:
    key = _carry(one.key, moment, pool)
    return key, key if one.link is one.key else _carry(one.link, moment, pool)


def _carry(reference: Reference, moment: Moment, pool: PointPool) -> Carried:
    unit = unit_of(moment.images.size)
    camera = camera_between(reference.moment, moment.mark, pool.on_thing, unit, SHAPES)
    age_s = (moment.stamp_ns - reference.moment.stamp_ns) / 1e9
    return Carried(reference, reference.motion_to(moment.mark, unit, camera, SHAPES), camera, age_s)


def _crop(
    rng: np.random.Generator,
    one: _Carried,
    moment: Moment,
    label: NDArray[np.uint8],
    pool: PointPool,
    clip: Clip,
    gap: int,
) -> Crop | None:
    now = label == one.thing
    if np.count_nonzero(now) < LEAST_PX:
        return None
    key, link = _both(one, moment, pool)
    if rng.random() < UNSURE_POSE:
        off = _unsure(rng, np.sqrt(one.key.area_px))
        same = link is key
        key = replace(key, bend=_pushed(key.bend, off))
        link = key if same else replace(link, bend=_pushed(link.bend, off))
    window = window_of(link.reference, link.bend, moment.images.size, SHAPES)
    if window is None:
        return None
    f = TILE / SHAPES.cells
    big = Window(window.x - window.w * (f - 1) / 2, window.y - window.h * (f - 1) / 2, window.w * f, window.h * f)
    planes = planes_of(moment.images, big, TILE, key, link, one.colors, SHAPES)
    inside = _cells(now.astype(np.uint8) * np.uint8(255), big)
    if not inside.any():
        return None
    valid = _cells(np.full(now.shape, 255, np.uint8), big)
    values = np.clip(np.rint(planes.values * SCALES), -127, 127).astype(np.int8)
    return Crop(values, inside, valid, gap, clip.name, "@".join(sorted(clip.sources)))


def _cells(image: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    """A grey image (H, W) as cells of a window; 0 outside the image."""
    images = FrameImages(np.asarray(cv2.merge([image] * 3), np.uint8))
    return np.ascontiguousarray(images.cut(window, TILE)[..., 0])


def _unsure(rng: np.random.Generator, root_px: float) -> NDArray[np.float32]:
    """A small wrong motion, (3, 3), about the origin of centered places."""
    scale, turn = np.exp(rng.normal(0, 0.06)), rng.normal(0, 0.08)
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    shift = rng.normal(0, 0.07 * root_px, 2)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]], [0, 0, 1]], np.float32)


def _pushed(bend: Bend, off: NDArray[np.float32]) -> Bend:
    """A motion with a wrong one on top, about the middle of its points."""
    middle = bend.centers.mean(0) if len(bend.centers) else np.zeros(2, np.float32)
    there = np.vstack([bend.back, [0, 0, 1]])
    move = np.array([[1, 0, middle[0]], [0, 1, middle[1]], [0, 0, 1]])
    back = there @ move @ off @ np.linalg.inv(move)
    return replace(bend, back=back[:2].astype(np.float32))


__all__ = ["PLANES", "SCALES", "TILE", "Crop", "crops_of"]
