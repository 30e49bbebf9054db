"""Failures in the log: each new one at once, one that repeats only now and then."""

from __future__ import annotations

import textwrap
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

REPEAT_S, DIFFERENT_S = 5.0, 0.5
"""The same failure is told again after so long, another one of the same worker after so long [s]."""
LONGEST_TEXT = 300
"""Of an error's own words, some of which hold whole arrays."""


def described(error: Exception) -> str:
    """An unexpected error in one line: its kind, its words, where it was raised."""
    words = textwrap.shorten(str(error), LONGEST_TEXT, placeholder=" ...") or "no words"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {words}{where}"


class FailureLog:
    """Tells workers' failures without flooding the log. Thread-safe.

    Args:
        tell: Writes a line.
        clock: Steady seconds.
    """

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._lock = threading.Lock()
        self._last: dict[str, tuple[str, float]] = {}

    def __call__(self, who: str, what: str) -> None:
        """Tell what happened to whom, or keep quiet."""
        with self._lock:
            now_s = self._clock()
            last_what, last_s = self._last.get(who, ("", -REPEAT_S))
            if now_s - last_s < (REPEAT_S if what == last_what else DIFFERENT_S):
                return
            self._last[who] = what, now_s
        self._tell(f"{who}: {what}")
