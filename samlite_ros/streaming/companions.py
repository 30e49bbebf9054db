"""What belongs to a frame and comes beside it, matched by stamp: its depth image, its camera's calibration.

No frame waits for its companions: what has come is used, what comes too late is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, TypeVar

from samlite_ros.errors import CalibrationError, SamliteError
from samlite_ros.types import CameraCalibration, DepthImage, Frame

T = TypeVar("T", DepthImage, CameraCalibration)

KEPT = 16
"""So many companions of a kind are kept: half a second of a camera at 30 Hz."""
DEPTH_TOLERANCE_NS = 20_000_000
"""A depth image may be so much older or newer than its frame [ns]: less than half the period of a 20 Hz camera."""


@dataclass
class CompanionCounters:
    """Of one kind of companion.

    Args:
        received: Companions that came.
        matched: Frames that got one.
        missed: Frames that got none.
        late: Of these, frames whose companion came after them.
        apart_ns: Between the stamps of the newest match [ns].
        apart_max_ns: Between those of the worst [ns].
        missed_apart_ns: Between the newest frame that got none and what had come last then [ns]; 0 = nothing had.
    """

    received: int = 0
    matched: int = 0
    missed: int = 0
    late: int = 0
    apart_ns: int = 0
    apart_max_ns: int = 0
    missed_apart_ns: int = 0


class StampBuffer(Generic[T]):
    """The newest companions of one kind, of which a frame takes the one nearest in time. Used from one thread.

    Args:
        tolerance_ns: Largest difference of stamps [ns]; None = any, for what stays the same until it is replaced.
    """

    def __init__(self, tolerance_ns: int | None) -> None:
        self.counters = CompanionCounters()
        self._tolerance_ns = tolerance_ns
        self._kept: deque[T] = deque(maxlen=KEPT)
        self._missed: deque[int] = deque(maxlen=KEPT)

    def put(self, companion: T) -> None:
        """Keep a companion; the oldest makes room."""
        self.counters.received += 1
        self._kept.append(companion)
        for stamp_ns in tuple(self._missed):
            if self._fits(abs(stamp_ns - companion.stamp_ns)):
                self._missed.remove(stamp_ns)
                self.counters.late += 1

    def match(self, stamp_ns: int) -> T | None:
        """The companion for a frame of this stamp [ns]; one companion may serve several frames."""
        nearest = min(self._kept, key=lambda kept: abs(kept.stamp_ns - stamp_ns), default=None)
        apart_ns = 0 if nearest is None else abs(nearest.stamp_ns - stamp_ns)
        if nearest is None or not self._fits(apart_ns):
            self.counters.missed += 1
            self.counters.missed_apart_ns = abs(self._kept[-1].stamp_ns - stamp_ns) if self._kept else 0
            self._missed.append(stamp_ns)
            return None
        self.counters.matched += 1
        self.counters.apart_ns = apart_ns
        self.counters.apart_max_ns = max(self.counters.apart_max_ns, apart_ns)
        return nearest

    def match_late(self, stamp_ns: int) -> T | None:
        """The companion for a frame that `match` found none for, if it has come since; then the frame is not missed."""
        nearest = min(self._kept, key=lambda kept: abs(kept.stamp_ns - stamp_ns), default=None)
        if nearest is None or not self._fits(abs(nearest.stamp_ns - stamp_ns)):
            return None
        self.counters.missed -= 1
        return self.match(stamp_ns)

    def has_passed(self, stamp_ns: int) -> bool:
        """What came last is too new for a frame of this stamp [ns]: nothing will come for it."""
        return (
            bool(self._kept)
            and self._kept[-1].stamp_ns > stamp_ns
            and not self._fits(self._kept[-1].stamp_ns - stamp_ns)
        )

    def clear(self) -> None:
        """Forget all: time jumped."""
        self._kept.clear()
        self._missed.clear()

    def _fits(self, apart_ns: int) -> bool:
        return self._tolerance_ns is None or apart_ns <= self._tolerance_ns


@dataclass
class Rejections:
    """Messages of one kind of companion that could not be read.

    Args:
        count: So many.
        last: Why, the last of them.
    """

    count: int = 0
    last: str = ""

    def add(self, error: Exception) -> None:
        """One more."""
        self.count += 1
        self.last = str(error)


@dataclass
class Companions:
    """The companions of one camera's frames. `put` may be called from any thread, all else from one.

    Args:
        read: Makes a value of a message, on the thread of `attach`; raises SamliteError where it is damaged.
        depth: Finds depth images; None = none are expected.
        calibration: Finds calibrations; None = none are expected.
        expected: Somebody sends them: frames without them are counted.
        rejected_depth, rejected_calibrations: Messages that could not be read.
    """

    read: Callable[[Any], DepthImage | CameraCalibration]
    depth: StampBuffer[DepthImage] | None = field(default_factory=lambda: StampBuffer[DepthImage](DEPTH_TOLERANCE_NS))
    calibration: StampBuffer[CameraCalibration] | None = field(
        default_factory=lambda: StampBuffer[CameraCalibration](None)
    )
    expected: bool = True
    rejected_depth: Rejections = field(default_factory=Rejections)
    rejected_calibrations: Rejections = field(default_factory=Rejections)
    last_rejection: str = field(default="", init=False)
    _arrived: deque[Any] = field(default_factory=lambda: deque(maxlen=2 * KEPT), init=False, repr=False)

    @property
    def rejected(self) -> int:
        """Messages that could not be read."""
        return self.rejected_depth.count + self.rejected_calibrations.count

    def put(self, message: Any) -> None:
        """Leave a message of a companion; never waits. While no frame is looked at only the newest are kept."""
        self._arrived.append(message)

    def attach(self, frame: Frame) -> Frame:
        """The frame with the companions that have come for it."""
        self._take_all()
        return replace(
            frame,
            depth=self.depth.match(frame.stamp_ns) if self.depth else None,
            calibration=self.calibration.match(frame.stamp_ns) if self.calibration else None,
        )

    def complete(self, frame: Frame) -> Frame:
        """A frame that was attached to before, with what has come for it since."""
        self._take_all()
        depth, calibration = frame.depth, frame.calibration
        if depth is None and self.depth is not None:
            depth = self.depth.match_late(frame.stamp_ns)
        if calibration is None and self.calibration is not None:
            calibration = self.calibration.match_late(frame.stamp_ns)
        return replace(frame, depth=depth, calibration=calibration)

    def has_passed(self, frame: Frame) -> bool:
        """No depth image will come for this frame."""
        return self.depth is not None and frame.depth is None and self.depth.has_passed(frame.stamp_ns)

    def figures(self) -> dict[str, Any]:
        """The counters by name, of each kind that is expected."""
        kinds = {"depth": self.depth, "calibration": self.calibration}
        counters = {kind: asdict(buffer.counters) for kind, buffer in kinds.items() if buffer is not None}
        return {**counters, "rejected": self.rejected, "last_rejection": self.last_rejection}

    def clear(self) -> None:
        """Forget all: time jumped."""
        self._arrived.clear()
        if self.depth is not None:
            self.depth.clear()
        if self.calibration is not None:
            self.calibration.clear()

    def _take_all(self) -> None:
        for _ in range(len(self._arrived)):  # what comes meanwhile is the next frame's affair
            self._take(self._arrived.popleft())

    def _take(self, message: Any) -> None:
        try:
            companion = self.read(message)
        except SamliteError as error:
            is_calibration = isinstance(error, CalibrationError)
            (self.rejected_calibrations if is_calibration else self.rejected_depth).add(error)
            self.last_rejection = str(error)
            return
        if isinstance(companion, DepthImage):
            if self.depth is not None:
                self.depth.put(companion)
        elif self.calibration is not None:
            self.calibration.put(companion)
