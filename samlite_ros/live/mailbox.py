"""Where a worker's input waits: the newest item only, and every command."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
Command = Callable[[], None]


@dataclass(frozen=True)
class Delivery(Generic[T]):
    """What one `take` found.

    Args:
        commands: To be run in this order, before the item is looked at.
        item: The newest item; None = there is none.
    """

    commands: tuple[Command, ...]
    item: T | None


class Mailbox(Generic[T]):
    """One slot for items, in which the newest replaces the one before, and a queue of commands. Thread-safe."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: T | None = None
        self._commands: deque[Command] = deque()
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items that were replaced before anybody took them."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """1 where an item waits, else 0."""
        return int(self._item is not None)

    def put(self, item: T) -> None:
        """Leave an item; one that is still there is dropped and counted."""
        with self._condition:
            self._dropped += self._item is not None
            self._item = item
            self._condition.notify()

    def post(self, command: Command) -> None:
        """Queue a command for the worker's thread."""
        with self._condition:
            self._commands.append(command)
            self._condition.notify()

    def take(self, timeout_s: float | None = None) -> Delivery[T] | None:
        """Wait for something and take all of it.

        Args:
            timeout_s: Longest wait [s]; None = for ever. An empty delivery comes when it is over.

        Returns:
            None once the mailbox is closed.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._commands or self._item is not None, timeout_s)
            if self._closed:
                return None
            delivery = Delivery(tuple(self._commands), self._item)
            self._commands.clear()
            self._item = None
            return delivery

    def close(self) -> None:
        """Let the worker go; what is left is not delivered."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
