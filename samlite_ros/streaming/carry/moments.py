"""The frames that shapes are carried between: the newest one, and those that are kept, with the points in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.reference import Moment, camera_between, unit_of
from samlite_ros.streaming.carry.ways import Claim, paste
from samlite_ros.streaming.image.frame_images import FrameImages
from samlite_ros.streaming.image.point_pool import CORNER_SHRINK, NO_POINTS, Mark, PointPool
from samlite_ros.streaming.tuning import ShapeTuning


@dataclass(frozen=True)
class Seeding:
    """New points.

    Args:
        every: Frames between two looks for them.
        most: Points in all; what is beyond is dropped.
        least: Where fewer are wanted, none are looked for.
    """

    every: int
    most: int
    least: int = 1


class Moments:
    """Frames of one camera. For each frame call `take`, and `follow` where points are needed in it.

    Args:
        tuning: How.
    """

    def __init__(self, tuning: ShapeTuning) -> None:
        self._tuning = tuning
        self._pool = PointPool(tuning)
        self._newest: tuple[FrameImages, int] | None = None
        self._last: Moment | None = None
        self._promised: Moment | None = None
        self._seeded = -tuning.seed_every
        self._owner: NDArray[np.uint8] | None = None
        self._kept: list[Moment] = []
        self._beats: list[Moment] = []
        self._cameras: dict[tuple[int, int], NDArray[np.float64]] = {}
        self._pace_px = float("inf")
        self.number = -1

    def take(self, images: FrameImages, stamp_ns: int) -> None:
        """Take the next frame; the points are where they were."""
        self._newest = images, stamp_ns
        self.number += 1
        self._cameras = {}

    @property
    def followed(self) -> Moment | None:
        """The newest frame, if the points were moved to it."""
        return self._last if self._last is not None and self._last.number == self.number else None

    @property
    def waited(self) -> int:
        """Frames since the points were last moved."""
        return self.number - (self._last.number if self._last is not None else -1)

    @property
    def is_calm(self) -> bool:
        """Whether the points move so slowly that they are found again some frames later."""
        if self._newest is None:
            return False
        return self._pace_px <= self._tuning.calm_px * unit_of(self._newest[0].size)

    def follow(self, needed: Iterable[Moment], seeding: Seeding) -> Moment:
        """Move the points to the newest frame.

        Args:
            needed: Frames, beside those that are kept, whose points are still needed.
            seeding: Of new points.

        Raises:
            ValueError: There is no frame yet.
        """
        needed = list(needed)
        if self.followed is None:
            self.keep_promise(needed)
            self._move_to(self._unmarked(), needed, seeding)
        assert self._last is not None
        return self._last

    @property
    def promised_ago(self) -> int | None:
        """Frames since the one to which points are still to be moved; None = there is none."""
        return None if self._promised is None else self.number - self._promised.number

    def promise(self) -> Moment:
        """The newest frame; points are moved to it later, by `keep_promise` or by the next `follow`.

        Raises:
            ValueError: There is no frame yet.
        """
        self._promised = self._unmarked()
        return self._promised

    def keep_promise(self, needed: Iterable[Moment]) -> None:
        """Move the points to the frame for which that was put off, if there is one; `needed` as in `follow`."""
        promised, self._promised = self._promised, None
        if promised is not None:
            self._move_to(promised, needed, None)

    def _unmarked(self) -> Moment:
        """The newest frame, to which no points were moved yet."""
        if self._newest is None:
            raise ValueError("no frame yet: call advance() first")
        images, stamp_ns = self._newest
        return Moment(self.number, stamp_ns, images, Mark(NO_POINTS))

    def _move_to(self, moment: Moment, needed: Iterable[Moment], seeding: Seeding | None) -> None:
        """Move the points to a frame and mark it."""
        gray = moment.images.gray
        if seeding is not None:
            self._pool.thin(seeding.most)
        if self._last is not None:
            self._pool.follow(self._last.images.gray, gray)
            self._pace_px = self._pool.moved_px / (moment.number - self._last.number)
        if seeding is not None and moment.number - self._seeded >= seeding.every:
            self._seed(moment, seeding)
        self._pool.keep_only([m.mark for m in (*self._kept, *self._beats, *needed)])
        moment.mark, self._last = self._pool.mark(), moment
        if not self._beats or moment.number - self._beats[-1].number >= self._tuning.remember_every:
            self._beats.append(moment)

    def _seed(self, moment: Moment, seeding: Seeding) -> None:
        if self._owner is None:
            h, w = moment.images.size
            self._owner = np.zeros((h // CORNER_SHRINK, w // CORNER_SHRINK), np.uint8)
        self._pool.seed(moment.images.gray, self._owner, seeding.most, seeding.least)
        self._seeded = moment.number

    def keep(self, moment: Moment) -> None:
        """Keep a frame that the network looks at."""
        if moment not in self._kept:
            self._kept.append(moment)

    def forget_before(self, stamp_ns: int) -> None:
        """Older frames [ns] are not kept any more."""
        self._kept = [m for m in self._kept if m.stamp_ns >= stamp_ns]
        self._beats = [m for m in self._beats if m.stamp_ns >= stamp_ns or m is self._beats[-1]]

    def beats_after(self, moment: Moment) -> list[Moment]:
        """Frames at equal distances, newer than one frame, that are kept: things of late keyframes are carried over
        them."""
        return [m for m in self._beats if m.number > moment.number]

    def camera(self, earlier: Moment, later: Moment) -> NDArray[np.float64]:
        """How the camera moved, (3, 3): from a later to an earlier frame [px]."""
        between = earlier.number, later.number
        if between not in self._cameras:
            unit = unit_of(later.images.size)
            self._cameras[between] = camera_between(earlier, later.mark, self._pool.on_thing, unit, self._tuning)
        return self._cameras[between]

    def note_owners(self, claims: Iterable[Claim]) -> None:
        """Note which thing is where in the newest frame, where new points are looked for in the next one."""
        owner = self._owner
        if owner is None:
            return
        owner[:] = 0
        for number, claim in enumerate(claims, 1):
            x, y, values = paste(claim, (owner.shape[0], owner.shape[1]), (CORNER_SHRINK, CORNER_SHRINK))
            if values.size:
                owner[y : y + values.shape[0], x : x + values.shape[1]][values > 0] = min(number, 255)
