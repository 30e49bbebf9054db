"""The places of one camera's answers: each waits for the depth image and the transform of its moment, not for ever.

A depth image is often made from the camera image and comes after it. So masks go out at once, and places when all that
they need is there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from samlite_ros.space.frames import Transform, Transforms
from samlite_ros.space.locator import Located, Locator, PlaceCounters
from samlite_ros.streaming.companions import Companions
from samlite_ros.types import NO_STAMP, Frame, Segmentation

DEPTH_WAIT_S = 0.15
"""An answer waits so long for its depth image [s]."""
MOST_WAITING = 16
REMEMBERED_EVERY_NS = 200_000_000
"""Where nobody but the statuses of queries wants places, they are found so often [ns]."""


class PlaceSink(Protocol):
    """Where places go."""

    def wants_places(self) -> bool:
        """Somebody listens."""
        ...

    def shows_places(self) -> bool:
        """Somebody listens to a topic of places, and not only to the statuses of queries."""
        ...

    def publish_places(self, located: Located, frame: Frame) -> None:
        """Send the places of an answer; called on the stream's thread."""
        ...


@dataclass
class LocatingCounters(PlaceCounters):
    """Written by the stream's thread only.

    Args:
        without_depth: Answers for which no depth image or no calibration came in time.
        untransformed: Answers published in the camera's frame, for want of a transform to the target frame.
    """

    without_depth: int = 0
    untransformed: int = 0


@dataclass(frozen=True)
class Target:
    """In which frame places are wanted.

    Args:
        frame_id: E.g. 'map'.
        transforms: Knows the way there.
        wait_s: An answer waits so long for it [s]; then its places are in the camera's frame.
    """

    frame_id: str
    transforms: Transforms
    wait_s: float


@dataclass(frozen=True, eq=False)
class _Waiting:
    answer: Segmentation
    frame: Frame
    since_s: float


@dataclass
class Locating:
    """Used from the stream's thread.

    Args:
        companions: Have the depth images.
        locator: Finds places.
        sink: Where places go.
        on_places: Called with what was found.
        target: The frame that is wanted; None = the camera's.
    """

    companions: Companions
    locator: Locator
    sink: PlaceSink
    on_places: Callable[[Located], None]
    target: Target | None = None
    counters: LocatingCounters = field(default_factory=LocatingCounters)
    _remembered_ns: int = field(default=NO_STAMP, init=False)
    _waiting: deque[_Waiting] = field(default_factory=lambda: deque(maxlen=MOST_WAITING), init=False)

    @property
    def is_waiting(self) -> bool:
        """An answer waits for its depth image or its transform. May be asked from any thread."""
        return bool(self._waiting)

    def add(self, answer: Segmentation, frame: Frame) -> None:
        """Find the places of an answer, now or later; of those that are only to be remembered a few a second."""
        if not (self.companions.expected and self.sink.wants_places()):
            return
        if not self.sink.shows_places():
            if 0 <= answer.stamp_ns - self._remembered_ns < REMEMBERED_EVERY_NS:
                return
            self._remembered_ns = answer.stamp_ns
        self._waiting.append(_Waiting(answer, frame, time.monotonic()))
        self.advance()

    def advance(self) -> None:
        """Go on with what waits, in order: something may have come for it."""
        while self._waiting:
            waiting = self._waiting[0]
            waited_s = time.monotonic() - waiting.since_s
            frame = self.companions.complete(waiting.frame)
            is_whole = frame.depth is not None and frame.calibration is not None
            if not is_whole and waited_s < DEPTH_WAIT_S and not self.companions.has_passed(frame):
                return
            way = self._way(frame) if is_whole else None
            if is_whole and self.target is not None and way is None and waited_s < self.target.wait_s:
                return
            self._waiting.popleft()
            if is_whole:
                self._publish(waiting.answer, frame, way)
            else:
                self.counters.without_depth += 1

    def clear(self) -> None:
        """Forget what was seen: time jumped."""
        self._waiting.clear()
        self.locator.clear()

    def _way(self, frame: Frame) -> Transform | None:
        if self.target is None:
            return None
        return self.target.transforms.lookup(self.target.frame_id, frame.frame_id, frame.stamp_ns)

    def _publish(self, answer: Segmentation, frame: Frame, way: Transform | None) -> None:
        counters, target = self.counters, self.target
        try:
            located = self.locator.locate(answer, frame, (target.frame_id, way) if target and way else None)
        except Exception as error:  # whatever is wrong with depth or calibration, masks go on
            counters.refuse(error)
            return
        counters.count(located)
        counters.untransformed += target is not None and way is None
        self.sink.publish_places(located, frame)
        self.on_places(located)
