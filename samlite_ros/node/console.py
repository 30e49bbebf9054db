"""What the console hears of a state: a line when it changes, and no more."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from typing import Any

from samlite_ros.errors import SamliteError


class Console:
    """Tells changes of state.

    Args:
        logger: rclpy's.
    """

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._states: dict[str, str] = {}
        self._told: set[str] = set()

    def change(self, who: str, state: str, line: str, *, warn: bool) -> None:
        """Tell a line where the state is another than before.

        Args:
            who: Whose state.
            state: Compared with the last one; empty = all is well, as at the beginning.
            line: What to tell.
            warn: As a warning; else for information.
        """
        if state == self._states.get(who, ""):
            return
        self._states[who] = state
        if warn:
            self._logger.warning(f"{who}: {line}")
        else:
            self._logger.info(f"{who}: {line}")

    def once(self, lines: Collection[str]) -> None:
        """Warn of those that were not there at the last call."""
        for line in lines:
            if line not in self._told:
                self._logger.warning(line)
        self._told = set(lines)

    def note(self, line: str) -> None:
        """Tell a line."""
        self._logger.info(line)


def in_words(error: BaseException) -> str:
    """Errors of our own explain themselves; others come with their traceback."""
    if isinstance(error, SamliteError):
        return str(error)
    return "".join(traceback.format_exception(error))


def last_line(text: str) -> str:
    """Of a traceback, the error itself."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
