"""Corner points of the whole image, followed from frame to frame: one set for all things and for the camera.

A mark keeps where the points were in one frame. Points that die leave all marks, new ones join at the end: the points
that a mark knows are the first of the pool, in the same order, so what moved how since that frame needs no search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.tuning import ShapeTuning
from samlite_ros.streaming.tuning.shape import REFERENCE_SIDE_PX

NO_POINTS = np.zeros((0, 2), np.float32)
NO_GUESS: Any = None  # OpenCV takes it, its stubs do not
CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.03)
CORNER_SHRINK = 2
"""Corners are looked for in an image so many times smaller: their exact place does not matter, and the time does."""
FIELD_PX, FIELD_ROW, FIELDS = 20, 64, 4096
"""Points where no thing is known are spread over square fields of that image: of every field the best comes first, then
of every field the second [px], and numbers of fields in a row and in all."""
APART = 5
"""Side of the square of that image in which there is one point at most [px of it]."""

MOST, LEAST_FOUND = 0.9, 0.5
"""Shares of the points: of what is told how fast they move, and that must be found again for that."""


@dataclass(eq=False)
class Mark:
    """Where the pool's points were in one frame: `places` (N, 2) [px] of the first N points."""

    places: NDArray[np.float32]


class PointPool:
    """Points followed through the frames; `now` (N, 2) [px], `on_thing` (N,): it lay on a thing when last looked at,
    `moved_px`: how far most of them (MOST) moved at most when they were last moved; infinite where next to none did."""

    def __init__(self, tuning: ShapeTuning) -> None:
        self._tuning = tuning
        self.now = NO_POINTS
        self.on_thing = np.zeros(0, bool)
        self.moved_px = float("inf")
        self._marks: list[Mark] = []

    def follow(self, before: NDArray[np.uint8], gray: NDArray[np.uint8]) -> None:
        """Move all points from one grey image (H, W) to the next; those that do not find back are dropped."""
        if not len(self.now):
            return
        size = (self._tuning.patch_px,) * 2
        levels = self._tuning.levels + max(0, round(np.log2(max(gray.shape) / REFERENCE_SIDE_PX)))
        ask: dict[str, Any] = {"winSize": size, "maxLevel": levels, "criteria": CRITERIA}
        moved, found, _ = cv2.calcOpticalFlowPyrLK(before, gray, self.now[:, None], NO_GUESS, **ask)
        back, found_back, _ = self._return(before, gray, np.asarray(moved))
        moved, off = moved[:, 0], np.abs(back[:, 0] - self.now).max(1)
        good = (found[:, 0] == 1) & (found_back[:, 0] == 1) & (off < self._tuning.most_return_px)
        limit = np.array(gray.shape[::-1], np.float32)
        good &= ((moved > -1) & (moved < limit)).all(1)
        shift = np.hypot(*(moved - self.now)[good].T)
        self.moved_px = float(np.quantile(shift, MOST)) if good.mean() > LEAST_FOUND else float("inf")
        self.now = np.asarray(moved, np.float32)
        self._keep(good)

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the other points, from all marks too."""
        self.now = np.ascontiguousarray(self.now[kept])
        self.on_thing = self.on_thing[kept]
        for mark in self._marks:
            mark.places = mark.places[kept[: len(mark.places)]]

    def _return(
        self, before: NDArray[np.uint8], gray: NDArray[np.uint8], moved: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Back again, at full size only, from near where the points were: what is there must look the same."""
        size = (self._tuning.patch_px,) * 2
        flags = cv2.OPTFLOW_USE_INITIAL_FLOW
        ask: dict[str, Any] = {"winSize": size, "maxLevel": 0, "criteria": CRITERIA, "flags": flags}
        back, found, error = cv2.calcOpticalFlowPyrLK(gray, before, moved, self.now[:, None].copy(), **ask)
        return back, found, error

    def mark(self) -> Mark:
        """Remember where all points are."""
        self._marks.append(Mark(self.now.copy()))
        return self._marks[-1]

    def keep_only(self, marks: list[Mark]) -> None:
        """Forget the other marks."""
        wanted = {id(m) for m in marks}
        self._marks = [m for m in self._marks if id(m) in wanted]

    def thin(self, most: int) -> None:
        """Drop points evenly, on things and elsewhere, until there are at most so many."""
        if len(self.now) <= most:
            return
        kept = np.zeros(len(self.now), bool)
        for group in (self.on_thing, ~self.on_thing):
            kept[group] = np.arange(np.count_nonzero(group)) * most % len(self.now) < most
        self._keep(kept)

    def seed(self, gray: NDArray[np.uint8], owner: NDArray[np.uint8], most: int | None = None, least: int = 1) -> None:
        """Fill up with new points, on things first.

        Args:
            gray: (H, W): the image in which the points are.
            owner: (H / 2, W / 2): number of the thing at each place, 0 = none.
            most: Points in all; None = as tuned.
            least: Where fewer are wanted, none are looked for.
        """
        t = self._tuning
        most = t.most_points if most is None else most
        x, y = self._cells(owner.shape)
        self.on_thing = owner[y, x] > 0
        room = most - len(self.now)
        if room < max(least, 1) or not owner.size:  # an image of a single row or column has no smaller one
            return
        rows, columns, strength = _corners(gray, owner.shape, (x, y), t.least_corner)
        numbers = owner[rows, columns]
        have = np.bincount(owner[y, x], minlength=256)
        things = int(np.count_nonzero(np.bincount(numbers, minlength=256)[1:] + have[1:]))
        quota = np.full(256, min(t.most_points_thing, int(most * t.points_on_things / max(things, 1))))
        quota[0] = most if not things else int(most * (1 - t.points_on_things))
        by_strength = np.argsort(-strength)
        in_turn = np.where(numbers == 0, _rank(_fields(rows, columns), by_strength), 0).astype(np.int16)
        rank = _rank(numbers, by_strength[np.argsort(in_turn[by_strength], kind="stable")])
        chosen = np.flatnonzero(rank < (quota - have)[numbers])
        chosen = chosen[np.argsort(numbers[chosen] == 0, kind="stable")][:room]
        new = np.stack([columns[chosen], rows[chosen]], 1).astype(np.float32) * CORNER_SHRINK + (CORNER_SHRINK - 1) / 2
        self.now = np.concatenate([self.now, new.astype(np.float32)])
        self.on_thing = np.concatenate([self.on_thing, numbers[chosen] > 0])

    def _cells(self, size: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Columns and rows of the points in the smaller image of size (h, w)."""
        x = np.clip(self.now[:, 0] / CORNER_SHRINK, 0, size[1] - 1).astype(np.intp)
        y = np.clip(self.now[:, 1] / CORNER_SHRINK, 0, size[0] - 1).astype(np.intp)
        return x, y


def _fields(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number of the square field in which each place lies."""
    return (rows // FIELD_PX * FIELD_ROW + columns // FIELD_PX) % FIELDS


def _rank(groups: NDArray[np.integer[Any]], order: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many of the same group (numbers of 16 bits) come before each entry in an order."""
    order = order[np.argsort(groups[order].astype(np.int16), kind="stable")]  # which is a radix sort
    ordered = groups[order]
    rank = np.empty(len(groups), np.intp)
    rank[order] = np.arange(len(groups)) - np.searchsorted(ordered, ordered)
    return rank


def _corners(
    gray: NDArray[np.uint8], size: tuple[int, int], taken: tuple[NDArray[np.intp], NDArray[np.intp]], least: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Rows, columns and strength of the corners of an image shrunk to (h, w), none near the places `taken` (x, y)."""
    small = cv2.resize(gray, size[::-1], interpolation=cv2.INTER_AREA)
    strength = np.asarray(cv2.cornerMinEigenVal(small, 3), np.float32)
    free = np.ones(size, np.uint8)
    free[taken[1], taken[0]] = 0
    apart = cv2.erode(free, np.ones((APART, APART), np.uint8))
    peak = (strength >= cv2.dilate(strength, np.ones((3, 3), np.uint8))) & (apart > 0)
    peak &= strength > least * float(strength.max())
    rows, columns = np.nonzero(peak)
    return rows, columns, strength[rows, columns]
