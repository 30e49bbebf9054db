"""What may be told without end goes into the log at most once a second and subject, with the number left out."""

from __future__ import annotations

import re
import textwrap
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

REPEAT_S, DIFFERENT_S = 5.0, 1.0
"""The same line is told again after so long, another one of the same subject after so long [s]."""
MOST_SUBJECTS = 500
"""So many subjects, and so many clients of each, are remembered: names come without end."""
LONGEST_TEXT = 300
"""Of an error's own words, some of which hold whole arrays."""


def described(error: Exception) -> str:
    """An unexpected error in one line: its kind, its words, where it was raised."""
    try:
        words = textwrap.shorten(str(error), LONGEST_TEXT, placeholder=" ...") or "no words"
    except Exception:
        words = "no words"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {words}{where}"


@dataclass
class _Told:
    line: str
    at_s: float
    left_out: int = 0
    clients: set[str] = field(default_factory=set)
    """Whose lines were left out."""


class FailureLog:
    """Tells what fails without flooding the log. Thread-safe.

    Args:
        tell: Writes a line.
        clock: Steady seconds.
    """

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._lock = threading.Lock()
        self._told: dict[str, _Told] = {}

    def __call__(self, who: str, what: str) -> None:
        """Tell what happened to whom, or keep quiet."""
        self.tell(who, f"{who}: {what}")

    def tell(self, subject: str, line: str, client: str = "") -> None:
        """Tell a line, or count it.

        Args:
            subject: Lines of different subjects do not make each other wait.
            line: The line; one that differs in its numbers only is the same.
            client: Whose; all clients share a subject's line a second, for their names cost nothing.
        """
        with self._lock:
            now_s, same = self._clock(), _without_numbers(line)
            last = self._told.get(subject)
            if last is not None and now_s - last.at_s < (REPEAT_S if same == last.line else DIFFERENT_S):
                last.left_out += 1
                if client and len(last.clients) < MOST_SUBJECTS:
                    last.clients.add(client)
                return
            self._told.pop(subject, None)
            self._told[subject] = _Told(same, now_s)
            if len(self._told) > MOST_SUBJECTS:
                del self._told[next(iter(self._told))]
        self._tell(_with_rest(line, last))

    def tell_rest(self) -> None:
        """Tell how many were left out of what repeats no more; to be called now and then."""
        with self._lock:
            now_s = self._clock()
            over = [(subject, told) for subject, told in self._told.items() if now_s - told.at_s >= REPEAT_S]
            for subject, _ in over:
                del self._told[subject]
        for subject, told in over:
            if told.left_out:
                self._tell(_with_rest(f"{subject}: no more of this", told))


def _with_rest(line: str, last: _Told | None) -> str:
    if last is None or not last.left_out:
        return line
    count = len(last.clients)
    whose = f" of {count}{' or more' if count == MOST_SUBJECTS else ''} clients" if count > 1 else ""
    return f"{line} ({last.left_out} lines{whose} were left out)"


def _without_numbers(line: str) -> str:
    return re.sub(r"\d+", "#", line)
