"""Under which circumstances the demo's figures were measured: how busy the machine was, and what became of frames."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray

from samlite_ros.messages.fill import stamp_ns

_RECEIVED, _ANSWERED = "images received", "images answered"


@dataclass(frozen=True)
class CameraCounts:
    """What the node's diagnostics say of its camera, since the node began.

    Args:
        at_ns: When they said it [ns].
        received: Frames that reached the node.
        answered: Of these, frames that it answered.
    """

    at_ns: int
    received: int
    answered: int


@dataclass(frozen=True)
class Traffic:
    """What became of the camera's frames meanwhile.

    Args:
        due: As many as the camera's rate asks for.
        published: As many as the camera was in time for.
        received: As many as reached the node.
        answered: As many as the node answered.
    """

    due: int
    published: int
    received: int
    answered: int

    @property
    def lost(self) -> int:
        """Frames lost on the way."""
        return max(self.published - self.received, 0)


@dataclass(frozen=True)
class MachineLoad:
    """How many want to run, against how many can.

    Args:
        cores: Processors that may be used.
        start, end: Load average of the minute before the demo, and of the last one that was measured.
    """

    cores: int
    start: float
    end: float

    @property
    def is_busy(self) -> bool:
        """More want to run than can."""
        return max(self.start, self.end) > self.cores

    @classmethod
    def since(cls, start: float) -> MachineLoad:
        """As it is now.

        Args:
            start: What `load_average` said in the beginning.
        """
        return cls(len(os.sched_getaffinity(0)), start, load_average())


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def read_counts(message: DiagnosticArray) -> CameraCounts | None:
    """What diagnostics say of a camera; None where they are not the node's."""
    for status in message.status:
        values = {value.key: value.value for value in status.values}
        if _RECEIVED in values:
            return CameraCounts(stamp_ns(message.header.stamp), int(values[_RECEIVED]), int(values[_ANSWERED]))
    return None


def traffic_between(before: CameraCounts, after: CameraCounts, published_ns: Iterable[int], rate_hz: float) -> Traffic:
    """What became of frames between two diagnostics.

    Args:
        before, after: Of the same camera.
        published_ns: When each frame was published [ns].
        rate_hz: The camera's [Hz].
    """
    return Traffic(
        due=round((after.at_ns - before.at_ns) * rate_hz / 1e9),
        published=sum(before.at_ns < at <= after.at_ns for at in published_ns),
        received=after.received - before.received,
        answered=after.answered - before.answered,
    )
