"""Overlap: an iterator that works ahead, and a sink that works behind, each on one thread with a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")
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


class Background(Generic[Item]):
    """Hands items to a function on another thread, in order. A context manager; leaving it waits for all of them.

    Args:
        consume: Called with every item, on the other thread only.
        depth: At most so many items wait; `put` blocks meanwhile.
    """

    def __init__(self, consume: Callable[[Item], None], depth: int = 8) -> None:
        self._consume = consume
        self._queue: queue.Queue[object] = queue.Queue(depth)
        self._failed = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Queue an item; raises what the function raised on an earlier one."""
        if not _put(self._queue, item, self._failed):
            self._raise()

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not _END:
                self._consume(item)  # type: ignore[arg-type]
        except BaseException as error:  # handed to the one who puts, who raises it
            self._error = error
            self._failed.set()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Background[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _put(self._queue, _END, self._failed)
        self._thread.join()
        if error is None:
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
