"""Work that other threads want done on a worker's thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Commands:
    """A queue; `post` may be called from any thread, the rest is the worker's."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Callable[[], Any], Future[Any]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def post(self, work: Callable[[], Any]) -> Future[Any]:
        """Have it done; the future has what comes of it."""
        future: Future[Any] = Future()
        self._queue.append((work, future))
        return future

    def run(self) -> None:
        """Do what waits; whoever waits for a future reports what was raised."""
        while self._queue:
            work, future = self._queue.popleft()
            if not future.set_running_or_notify_cancel():
                continue  # nobody waits for it any more
            try:
                future.set_result(work())
            except Exception as error:  # for whoever waits
                future.set_exception(error)

    def cancel(self) -> None:
        """Do nothing of it."""
        while self._queue:
            self._queue.popleft()[1].cancel()
