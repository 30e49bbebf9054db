"""Overlap: an iterator that works ahead, and a sink that works behind, each on one thread with a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)
_END = object()
POLL_S = 0.1
"""How often a blocked thread looks whether it is still wanted [s]."""


class Prefetch(Generic[Item]):
    """Runs an iterator ahead of its reader. A context manager; leaving it ends the thread.

    Args:
        items: Read on the other thread only.
        depth: At most so many items wait.
    """

    def __init__(self, items: Iterator[Item], depth: int = 4) -> None:
        self._items = items
        self._queue: queue.Queue[object] = queue.Queue(depth)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while (item := self._queue.get()) is not _END:
            yield item  # type: ignore[misc]
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for item in self._items:
                if not _put(self._queue, item, self._stop):
                    return
        except BaseException as error:  # handed to the reader, who raises it
            self._error = error
        _put(self._queue, _END, self._stop)

    def __enter__(self) -> Prefetch[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


class Sink(Protocol[Item_contra]):
    """Takes items; opened, fed and closed on one thread."""

    def write(self, item: Item_contra) -> None:
        """Take an item."""
        ...


class Background(Generic[Item_contra]):
    """Hands items to a sink on another thread, in order. A context manager; leaving it waits for all of them.

    Args:
        open_sink: Makes the sink, a context manager; called on the other thread. What it raises is raised here.
        depth: At most so many items wait; `put` blocks meanwhile.
    """

    def __init__(self, open_sink: Callable[[], AbstractContextManager[Sink[Item_contra]]], depth: int = 8) -> None:
        self._open_sink = open_sink
        self._queue: queue.Queue[object] = queue.Queue(depth)
        self._opened, self._failed = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._told = False
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()
        self._opened.wait()
        self._raise()

    def put(self, item: Item_contra) -> None:
        """Queue an item; raises what the sink raised on an earlier one."""
        if not _put(self._queue, item, self._failed):
            self._told = True
            self._raise()

    def _run(self) -> None:
        try:
            with self._open_sink() as sink:
                self._opened.set()
                while (item := self._queue.get()) is not _END:
                    sink.write(item)  # type: ignore[arg-type]
        except BaseException as error:  # handed to the one who puts, who raises it
            self._error = error
            self._failed.set()
            self._opened.set()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Background[Item_contra]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _put(self._queue, _END, self._failed)
        self._thread.join()
        if error is None and not self._told:
            self._raise()


def _put(target: queue.Queue[object], item: object, stop: threading.Event) -> bool:
    """Put as soon as there is room; False = stopped before."""
    while not stop.is_set():
        try:
            target.put(item, timeout=POLL_S)
        except queue.Full:
            continue
        return True
    return False
