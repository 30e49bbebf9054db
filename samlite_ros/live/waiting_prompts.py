"""Prompts that clients wait to hear of, and those of them that may have ended the network's process."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable

from samlite_ros.types import Prompt

MOST_AT_ONCE = 16
"""So many prompts at most are embedded before their clients are told."""
MOST_REMEMBERED = 10_000
"""So many prompts are remembered, to count different ones: phrases come without end."""


class DistinctPrompts:
    """How many different prompts there were; one that was forgotten meanwhile counts again."""

    def __init__(self) -> None:
        self._hashes: dict[int, None] = {}
        self._count = 0

    def add(self, prompt: Prompt) -> int:
        """Another prompt; returns the number of different ones."""
        self._count += hash(prompt) not in self._hashes
        self._hashes[hash(prompt)] = None
        if len(self._hashes) > MOST_REMEMBERED:
            del self._hashes[next(iter(self._hashes))]
        return self._count


class WaitingPrompts:
    """What is to be embedded, in the order in which it was asked. Thread-safe; all but `replace` is the worker's.

    A prompt at which the network's process ended is suspect, as all that were asked with it: each is embedded on its
    own next. One at which it ends again is given up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Prompt, None] = {}
        self._suspects: set[Prompt] = set()

    def replace(self, prompts: Iterable[Prompt]) -> bool:
        """Wait for these instead of those that still wait; returns whether there are any."""
        with self._lock:
            self._waiting = dict.fromkeys(prompts)
            return bool(self._waiting)

    def next_few(self) -> list[Prompt]:
        """What to embed next in one go; empty = nothing waits."""
        with self._lock:
            suspects = [p for p in self._waiting if p in self._suspects]
            return suspects[:1] or list(self._waiting)[:MOST_AT_ONCE]

    def take(self, prompts: Iterable[Prompt], refused: Collection[Prompt]) -> list[Prompt]:
        """Those of some prompts that somebody is to be told of: they waited, or are refused. They wait no more."""
        with self._lock:
            told = [p for p in prompts if p in self._waiting or p in refused]
            for prompt in told:
                self._waiting.pop(prompt, None)
            return told

    @property
    def has_suspects(self) -> bool:
        """Some may have ended the network's process, and are not acquitted yet."""
        return bool(self._suspects)

    def suspect(self, prompts: Iterable[Prompt]) -> None:
        """The network's process ended at these: those that wait are suspect."""
        with self._lock:
            self._suspects.update(p for p in prompts if p in self._waiting)

    def are_suspect(self, prompts: Iterable[Prompt]) -> bool:
        """Whether all of these are."""
        return self._suspects.issuperset(prompts)

    def acquit(self, prompts: Iterable[Prompt]) -> None:
        """These are suspect no more."""
        self._suspects.difference_update(prompts)

    def acquit_all(self) -> None:
        """None is suspect any more."""
        self._suspects.clear()
