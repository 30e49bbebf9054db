"""Whose turn it is: what one network does next for several cameras. No threads and no clock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Generic, Protocol, TypeVar

from samlite_ros.streaming.jobs import KeyframeJob


class Busy(Enum):
    """Why a camera that is at work has no job to give."""

    ANSWERING = "a frame is being answered"


class Stream(Protocol):
    """A camera's stream, as far as turns go."""

    def take_job(self) -> KeyframeJob | Busy | None:
        """What to do now for this camera; None = nothing."""
        ...

    def take_late_job(self) -> KeyframeJob | None:
        """What can be decoded on an image that is embedded already."""
        ...


AnyStream = TypeVar("AnyStream", bound=Stream)


class Turns(Generic[AnyStream]):
    """Cameras take turns, one job each; used by one thread.

    Args:
        streams: Of the cameras; the first has the first turn.
    """

    def __init__(self, streams: Iterable[AnyStream]) -> None:
        self._streams = deque(streams)

    def next_job(self) -> tuple[AnyStream, KeyframeJob] | None:
        """The job that a free network begins, and whose it is; None = nothing to do, or to wait for a busy camera.

        Late queries of any camera come first, and are no turn. A camera without work lets the next one go first; a busy
        one keeps its turn until it has answered its frame.
        """
        late = next(self.late_jobs(), None)
        if late is not None:
            return late
        for stream in tuple(self._streams):
            job = stream.take_job()
            if isinstance(job, Busy):
                return None
            self._streams.rotate(-1)  # the next camera comes first next time
            if job is not None:
                return stream, job
        return None

    def late_jobs(self) -> Iterator[tuple[AnyStream, KeyframeJob]]:
        """What to decode on images that are embedded already: one job of each camera that has one, in turn.

        Each is taken when it is asked for: the one before is done by then.
        """
        for stream in tuple(self._streams):
            job = stream.take_late_job()
            if job is not None:
                yield stream, job
