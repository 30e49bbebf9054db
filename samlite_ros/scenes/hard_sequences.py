"""Image sequences that are hard to follow, with exact truth: built on `scenes`, with what makes cameras on robots hard.

Zoom, roll, shake, motion blur, an occluder that crosses, things that nobody asked for and that hide others, things in
the colours of the floor, and gray images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.scenes import Sequence, SequenceOptions
from samlite_ros.scenes.render import Renderer, Scene
from samlite_ros.scenes.textures import add_noise
from samlite_ros.scenes.world import Sensor, Thing, World
from samlite_ros.types import Frame, Mask

MARGIN = 1.3
"""Warped sequences are rendered so much larger, so that their corners are filled."""
BORDER_BLUR_PX = 1.0
"""Blur of the things' shapes before they are warped: tells where between two pixels a border is."""
BLUR_TIMES = (-0.3, -0.1, 0.1, 0.3)
"""Moments of one exposure, in frames."""
BAR_WIDTH_PX, BAR_SPEED_PX_S = 90, 200.0


@dataclass(frozen=True)
class Difficulty:
    """What one sequence is made of.

    Args:
        name: Its name in tables.
        base: Kind of `scenes.Sequence`.
        speed_px_s: Of the base.
        count: Objects in view, about.
        zoom_roll: The camera zooms by 25 % and rolls by 12 degrees, to and fro.
        shake_px: Amplitude of a hand's shake [px].
        turning: The things turn about themselves.
        blur: Motion blur of half a frame's time.
        bar: A textured bar crosses in front of everything; it is not searched.
        unlabelled: Share of the things that are not searched and may hide others.
        camouflage: The things have the colours of the floor.
        noise: Standard deviation of the sensor's noise [levels of 255].
        flicker: Standard deviation of the exposure, relative.
    """

    name: str
    base: str
    speed_px_s: float = 120.0
    count: int = 5
    zoom_roll: bool = False
    shake_px: float = 0.0
    turning: bool = False
    blur: bool = False
    bar: bool = False
    unlabelled: float = 0.0
    camouflage: bool = False
    noise: float = 4.6
    flicker: float = 0.02


DEVELOPMENT = (
    Difficulty("pan", "pan", 120.0),
    Difficulty("fast", "pan", 200.0),
    Difficulty("zoom", "fly", 100.0, zoom_roll=True),
    Difficulty("crowd", "cross", 120.0, count=12, unlabelled=0.33),
    Difficulty("near-still", "still", shake_px=1.0),
    Difficulty("shake", "still", shake_px=10.0, turning=True),
    Difficulty("camouflage", "cross", 120.0, camouflage=True),
    Difficulty("occluder", "cross", 160.0, blur=True, bar=True),
)
HELD_OUT = (
    Difficulty("pan, blurred", "pan", 180.0, count=8, blur=True),
    Difficulty("fly, shaken", "fly", 150.0, shake_px=5.0, bar=True),
    Difficulty("crossing, fast", "cross", 200.0, count=8, unlabelled=0.25, zoom_roll=True),
    Difficulty("pan, camouflage", "pan", 100.0, count=7, camouflage=True),
)
STILL = Difficulty("still", "still")


@dataclass(frozen=True, eq=False)
class TruthFrame:
    """One frame and the truth about it.

    Args:
        frame: The frame.
        ids: uint8 (H, W): the thing seen at each pixel, 0 = none or not searched.
        whole: Things wholly inside the image, with nothing in front of them.
    """

    frame: Frame
    ids: NDArray[np.uint8]
    whole: frozenset[int]

    @cached_property
    def masks(self) -> dict[int, Mask]:
        """Visible pixels of each thing, by id."""
        return {int(thing): mask_from_array(self.ids == thing) for thing in np.unique(self.ids) if thing}


@dataclass(frozen=True)
class StreamSequence:
    """One sequence; iterate over it as often as you like.

    Args:
        difficulty: What it is made of.
        seed: The same seed gives the same frames.
        frames: Their number.
        rate_hz: Their rate [Hz].
        size: (H, W) [px].
    """

    difficulty: Difficulty
    seed: int
    frames: int = 150
    rate_hz: float = 30.0
    size: tuple[int, int] = (480, 640)

    @property
    def things(self) -> tuple[Thing, ...]:
        """Everything that there is to see at some time."""
        return self._base().world.things

    @property
    def _warped(self) -> bool:
        return self.difficulty.zoom_roll or self.difficulty.shake_px > 0

    def _base(self) -> Sequence:
        """The sequence before anything is made harder; larger where it is going to be warped."""
        factor = MARGIN if self._warped else 1.0
        options = SequenceOptions(
            size=(round(self.size[0] * factor), round(self.size[1] * factor)),
            rate_hz=self.rate_hz,
            frames=self.frames,
            speed_px_s=self.difficulty.speed_px_s,
            count=self.difficulty.count,
        )
        return Sequence(self.difficulty.base, self.seed, options)

    def __iter__(self) -> Iterator[TruthFrame]:
        difficulty, base = self.difficulty, self._base()
        rng = np.random.default_rng([11, self.seed])
        world = _prepared(base.world, difficulty, rng)
        searched = _searched(world, difficulty, rng)
        renderer = Renderer(world)
        bar = _bar_texture(rng, self.size[0]) if difficulty.bar else None
        for index in range(self.frames):
            yield self._frame(base, renderer, searched, bar, index)

    def _frame(
        self,
        base: Sequence,
        renderer: Renderer,
        searched: NDArray[np.bool_],
        bar: NDArray[np.uint8] | None,
        index: int,
    ) -> TruthFrame:
        difficulty, time_s = self.difficulty, index / self.rate_hz
        image, scene = self._exposed(base, renderer, time_s)
        ids = scene.ids
        whole = {o.track_id for o in scene.objects if o.visible_fraction > 0.999 and o.image_fraction > 0.999}
        if self._warped:
            warp = self._warp(image.shape[:2], time_s)
            image, ids = _warped(image, warp, self.size), _warped_ids(ids, warp, self.size)
        whole = (whole & {int(i) for i in np.unique(ids)}) - set(_on_border(ids))
        if bar is not None:
            image, ids, hidden = _behind_bar(image, ids, bar, time_s)
            whole -= hidden
        ids = np.where(searched[ids], ids, 0).astype(np.uint8)
        rng = np.random.default_rng([12, self.seed, index])
        image = add_noise(image, 1 + difficulty.flicker * float(rng.standard_normal()), difficulty.noise, rng)
        frame = Frame(np.ascontiguousarray(image, np.uint8), base.stamp_ns(index))
        return TruthFrame(frame, ids, frozenset(int(i) for i in whole if searched[i]))

    def _exposed(self, base: Sequence, renderer: Renderer, time_s: float) -> tuple[NDArray[np.uint8], Scene]:
        """The image, blurred where asked, and the scene at the middle of the exposure."""
        quiet = np.random.default_rng(0)
        if self.difficulty.turning:
            renderer = Renderer(_turned(renderer.world, time_s))
        scene = renderer.render(base.camera_at(time_s), quiet, time_s)
        if not self.difficulty.blur:
            return scene.image, scene
        moments = [max(time_s + part / self.rate_hz, 0.0) for part in BLUR_TIMES]
        images = [renderer.render(base.camera_at(t), quiet, t).image for t in moments]
        return np.mean(np.stack(images), 0).astype(np.uint8), scene

    def _warp(self, size: tuple[int, ...], time_s: float) -> NDArray[np.float64]:
        """(2, 3): from the larger rendered image to the sequence's."""
        difficulty = self.difficulty
        angle_deg, zoom = 0.0, 1.0
        if difficulty.zoom_roll:
            angle_deg, zoom = 12 * np.sin(1.9 * time_s), 1.05 + 0.25 * np.sin(1.3 * time_s) ** 2
        center = size[1] / 2, size[0] / 2
        warp = np.asarray(cv2.getRotationMatrix2D(center, float(angle_deg), float(zoom)), np.float64)
        warp[:, 2] += (self.size[1] - size[1]) / 2, (self.size[0] - size[0]) / 2
        phase = 0.7 * self.seed
        warp[0, 2] += difficulty.shake_px * (np.sin(9 * time_s + phase) + 0.5 * np.sin(23 * time_s)) / 1.5
        warp[1, 2] += difficulty.shake_px * (np.sin(11 * time_s + 2 + phase) + 0.5 * np.sin(19 * time_s)) / 1.5
        return warp


def sequences(difficulties: tuple[Difficulty, ...], seed: int, frames: int) -> list[StreamSequence]:
    """One sequence of each difficulty; all seeds differ."""
    return [StreamSequence(d, 100 * seed + number, frames) for number, d in enumerate(difficulties)]


def _prepared(world: World, difficulty: Difficulty, rng: np.random.Generator) -> World:
    """The world without a sensor's faults, in the floor's colours where asked."""
    sensor = Sensor(gain=world.sensor.gain, blur_px=world.sensor.blur_px, noise=0.0)
    things = world.things
    if difficulty.camouflage:
        things = tuple(_camouflaged(thing, world, rng) for thing in things)
    return replace(world, sensor=sensor, things=things)


def _camouflaged(thing: Thing, world: World, rng: np.random.Generator) -> Thing:
    share = float(rng.uniform(0, 1))
    dark, light = np.array(world.floor.dark), np.array(world.floor.light)
    red, green, blue = (float(v) for v in np.clip(1.1 * (dark + share * (light - dark)), 0, 1))
    return replace(thing, albedo=(red, green, blue), grain=0.12, gloss=0.1)


def _searched(world: World, difficulty: Difficulty, rng: np.random.Generator) -> NDArray[np.bool_]:
    """bool (256,): by id, whether it is asked for."""
    out = np.ones(256, bool)
    out[0] = False
    ids = [thing.track_id for thing in world.things]
    left_out = rng.permutation(ids)[: round(difficulty.unlabelled * len(ids))]
    out[left_out.astype(int)] = False
    return out


def _turned(world: World, time_s: float) -> World:
    return replace(world, things=tuple(replace(t, yaw_rad=t.yaw_rad + 0.8 * time_s) for t in world.things))


def _bar_texture(rng: np.random.Generator, height: int) -> NDArray[np.uint8]:
    coarse = rng.uniform(60, 200, (height // 24 + 1, BAR_WIDTH_PX // 24 + 1, 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (BAR_WIDTH_PX, height), interpolation=cv2.INTER_CUBIC).clip(0, 255), np.uint8)


def _behind_bar(
    image: NDArray[np.uint8], ids: NDArray[np.uint8], bar: NDArray[np.uint8], time_s: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], set[int]]:
    """Image and ids with the bar in front, and the ids that it touches."""
    image, ids, width = image.copy(), ids.copy(), ids.shape[1]
    at = int(BAR_SPEED_PX_S * time_s) % (2 * width) - BAR_WIDTH_PX
    left, right = np.clip([at, at + BAR_WIDTH_PX], 0, width)
    hidden = {int(i) for i in np.unique(ids[:, left:right])}
    image[:, left:right] = bar[:, : right - left]
    ids[:, left:right] = 0
    return image, ids, hidden


def _warped(image: NDArray[np.uint8], warp: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
    width_height = size[1], size[0]
    warped = cv2.warpAffine(image, warp, width_height, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(warped, np.uint8)


def _warped_ids(ids: NDArray[np.uint8], warp: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Borders move by fractions of a pixel, as the image does: the nearest ids are up to half a pixel beside it."""
    out, most = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    for number in np.unique(ids):
        soft = cv2.GaussianBlur(np.where(ids == number, np.uint8(255), np.uint8(0)), (0, 0), BORDER_BLUR_PX)
        covered = _warped(np.asarray(soft, np.uint8), warp, size)
        more = covered > most
        out[more], most[more] = number, covered[more]
    return out


def _on_border(ids: NDArray[np.uint8]) -> list[int]:
    edges = np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]])
    return [int(i) for i in np.unique(edges)]
