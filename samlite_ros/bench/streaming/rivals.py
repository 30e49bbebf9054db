"""Other ways to carry masks, written from public ideas: dense optical flow, and corner points with a similarity.

Each is given what favours it: the frames since the keyframe are replayed when its result arrives, so that none suffers
from the network's latency more than it must, and its work is not charged to the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.pixels.masks import mask_bounds_xyxy, mask_from_array
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.streaming.answer import Published
from samlite_ros.types import NO_STAMP, Instance, Mask, Prompt, Query, QueryKey, QueryMatch, Segmentation
from samlite_ros.virtual.network import KeyframePass

Masks = dict[int, NDArray[np.bool_]]
"""bool (H, W) by thing."""
_MATCH = QueryMatch(Query(QueryKey("bench", "thing 0"), Prompt("thing 0"), 0), 0.9)


class Rival(Protocol):
    """Carries masks from keyframes to every frame."""

    def frame(self, gray: NDArray[np.uint8]) -> None:
        """The next camera frame, uint8 (H, W)."""

    def submit(self) -> None:
        """The network begins with the newest frame."""

    def deliver(self, masks: Masks) -> None:
        """The network's result for the frame that was submitted last."""

    def output(self) -> Masks:
        """Masks for the newest frame."""


class DenseFlow:
    """DIS flow at half size; the flows since the keyframe are composed, and its mask is sampled once."""

    SHRINK = 2

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._size = (0, 0)
        self._last = np.zeros((0, 0), np.uint8)
        self._grid = np.zeros((0, 0, 2), np.float32)
        self._running: NDArray[np.float32] | None = None
        self._shown: NDArray[np.float32] | None = None
        self._masks: Masks = {}

    def frame(self, gray: NDArray[np.uint8]) -> None:
        """See `Rival`."""
        self._size = (gray.shape[1], gray.shape[0])
        small_size = (max(self._size[0] // self.SHRINK, 1), max(self._size[1] // self.SHRINK, 1))
        small = np.asarray(cv2.resize(gray, small_size, interpolation=cv2.INTER_AREA), np.uint8)
        if not self._last.size:
            y, x = np.mgrid[0 : small.shape[0], 0 : small.shape[1]].astype(np.float32)
            self._grid = np.dstack([x, y])
        else:
            none: Any = None
            motion = np.asarray(self._flow.calc(small, self._last, none), np.float32)
            self._running, self._shown = self._composed(self._running, motion), self._composed(self._shown, motion)
        self._last = small

    def _composed(self, total: NDArray[np.float32] | None, motion: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """float32 (h, w, 2): from this frame to the keyframe, given that from the frame before."""
        if total is None:
            return None
        at = self._grid + motion
        moved = cv2.remap(total, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(motion + moved, np.float32)

    def submit(self) -> None:
        """See `Rival`."""
        self._running = np.zeros_like(self._grid)

    def deliver(self, masks: Masks) -> None:
        """See `Rival`."""
        self._masks, self._shown = masks, self._running

    def output(self) -> Masks:
        """See `Rival`."""
        if self._shown is None:
            return {}
        factor = np.float32(self._size[0] / self._last.shape[1])
        at = (self._grid + self._shown) * factor + (factor - 1) / 2
        at = np.asarray(cv2.resize(at, self._size, interpolation=cv2.INTER_LINEAR), np.float32)
        return {thing: self._sampled(mask, at) for thing, mask in self._masks.items()}

    @staticmethod
    def _sampled(mask: NDArray[np.bool_], at: NDArray[np.float32]) -> NDArray[np.bool_]:
        return np.asarray(cv2.remap(mask.astype(np.float32), at[..., 0], at[..., 1], cv2.INTER_LINEAR)) > 0.5


class CornerPoints:
    """Corners inside each mask, followed by pyramidal Lucas-Kanade with a check forth and back.

    The keyframe's mask is moved by the similarity between the points then and now (RANSAC).
    """

    MOST, QUALITY, APART_PX = 250, 0.005, 3
    LEAST = 5
    BACK_PX, FIT_PX = 1.0, 2.0

    def __init__(self) -> None:
        self._since: list[NDArray[np.uint8]] = []
        self._tracks: dict[int, tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]] = {}

    def frame(self, gray: NDArray[np.uint8]) -> None:
        """See `Rival`."""
        if self._since:
            self._advance(self._since[-1], gray)
        self._since.append(gray)

    def submit(self) -> None:
        """See `Rival`."""
        self._since = self._since[-1:]

    def deliver(self, masks: Masks) -> None:
        """See `Rival`."""
        self._tracks = {}
        for thing, mask in masks.items():
            found = cv2.goodFeaturesToTrack(
                self._since[0], self.MOST, self.QUALITY, self.APART_PX, mask=mask.astype(np.uint8)
            )
            points = np.zeros((0, 1, 2), np.float32) if found is None else np.asarray(found, np.float32)
            self._tracks[thing] = (mask, points, points)
        for before, now in zip(self._since[:-1], self._since[1:], strict=True):
            self._advance(before, now)

    def _advance(self, before: NDArray[np.uint8], now: NDArray[np.uint8]) -> None:
        for thing, (mask, start, points) in self._tracks.items():
            if len(points) < self.LEAST:
                continue
            moved, found = _followed(before, now, points)
            back, found_back = _followed(now, before, moved)
            near = np.linalg.norm((back - points).reshape(-1, 2), axis=1) < self.BACK_PX
            kept = found & found_back & near
            self._tracks[thing] = (mask, start[kept], moved[kept])

    def output(self) -> Masks:
        """See `Rival`."""
        return {thing: self._moved(*track) for thing, track in self._tracks.items()}

    def _moved(
        self, mask: NDArray[np.bool_], start: NDArray[np.float32], points: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        matrix = None
        if len(points) >= self.LEAST:
            matrix, _ = cv2.estimateAffinePartial2D(start, points, method=cv2.RANSAC, ransacReprojThreshold=self.FIT_PX)
        if matrix is None:
            matrix = np.eye(2, 3)
            matrix[:, 2] = np.median((points - start).reshape(-1, 2), 0) if len(points) else 0
        return np.asarray(cv2.warpAffine(mask.astype(np.float32), matrix, mask.shape[::-1])) > 0.5


def _followed(
    before: NDArray[np.uint8], now: NDArray[np.uint8], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """float32 (N, 1, 2), where points have moved to, and bool (N,), whether they were found."""
    none: Any = None
    enough = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.03)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, now, points, none, winSize=(15, 15), maxLevel=3, criteria=enough)
    return np.asarray(moved, np.float32), np.asarray(found).ravel() == 1


RIVALS: dict[str, Callable[[], Rival]] = {"flow": DenseFlow, "points": CornerPoints}
"""By the name of their columns."""


def run_rival(
    rival: Rival,
    truth: Sequence[TruthFrame],
    passes: Sequence[KeyframePass],
    masks_in: Callable[[TruthFrame], Mapping[int, Mask]],
) -> Iterator[Published]:
    """Publish each frame's masks at its own stamp.

    Args:
        rival: The way.
        truth: The frames.
        passes: Of the network, as in the usual way; what ends at a frame's stamp is known to it.
        masks_in: What the network says of a frame, by thing.
    """
    by_stamp = {t.frame.stamp_ns: t for t in truth}
    events = _Events(passes)
    knows = NO_STAMP
    for at in truth:
        now_ns = at.frame.stamp_ns
        gray = np.asarray(cv2.cvtColor(at.frame.image, cv2.COLOR_RGB2GRAY), np.uint8)
        began_s = time.thread_time()
        for step in (now_ns, now_ns + 1):  # what happened before this frame, then what happens with it
            for begins, stamp_ns in events.until(step):
                if begins:
                    rival.submit()
                else:
                    rival.deliver({thing: m.full() for thing, m in masks_in(by_stamp[stamp_ns]).items()})
                    knows = stamp_ns
            if step == now_ns:
                rival.frame(gray)
        masks = rival.output() if knows != NO_STAMP else {}
        yield Published(_answer(at, masks, knows), now_ns, time.thread_time() - began_s)


class _Events:
    """Begins and ends of passes, in order; a pass ends before the next one begins."""

    def __init__(self, passes: Sequence[KeyframePass]) -> None:
        ends = [(p.ends_ns, False, p.stamp_ns) for p in passes]
        self._todo = sorted([*ends, *((p.begins_ns, True, p.stamp_ns) for p in passes)])

    def until(self, before_ns: int) -> Iterator[tuple[bool, int]]:
        """Whether one begins, and the stamp of its frame [ns]."""
        while self._todo and self._todo[0][0] < before_ns:
            _, begins, stamp_ns = self._todo.pop(0)
            yield begins, stamp_ns


def _answer(truth: TruthFrame, masks: Masks, keyframe_ns: int) -> Segmentation:
    instances = []
    for thing, pixels in masks.items():
        mask = mask_from_array(pixels)
        box = mask_bounds_xyxy(mask)
        if box is not None:
            instances.append(Instance(thing, (_MATCH,), 0.9, True, keyframe_ns, box, mask))
    frame = truth.frame
    return Segmentation(frame.stamp_ns, "", "", frame.size, "oracle", 1, keyframe_ns, (), tuple(instances))
