"""What a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from samlite_ros.foreign.words import one_line

_MISSING = "install what is missing: see packages"


class Level(IntEnum):
    """How bad it is; a larger one is worse."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Args:
        subject: What was looked at: 'python', 'shared memory' ...
        level: ERROR = the node cannot work so, WARN = something of it may suffer.
        found: What is there, with its numbers.
        advice: What to do about it; empty = nothing.
    """

    subject: str
    level: Level
    found: str
    advice: str = ""


def ok(subject: str, found: str) -> Finding:
    """All is well."""
    return Finding(subject, Level.OK, found)


def warn(subject: str, found: str, advice: str) -> Finding:
    """Something may suffer."""
    return Finding(subject, Level.WARN, found, advice)


def error(subject: str, found: str, advice: str) -> Finding:
    """It cannot work so."""
    return Finding(subject, Level.ERROR, found, advice)


def guarded(subject: str, check: Callable[[], Finding | Iterable[Finding]]) -> list[Finding]:
    """What a check found; one that fails itself is a finding too, and keeps no other from being made."""
    try:
        found = check()
        return [found] if isinstance(found, Finding) else list(found)
    except Exception as failure:  # a machine may be broken in any way: that is what a doctor is for
        what = f"could not be looked at: {type(failure).__name__}: {one_line(failure)}"
        missing = isinstance(failure, ImportError)
        return [warn(subject, what, _MISSING if missing else "look at it by hand, and put this report into an issue")]


def worst(findings: Iterable[Finding]) -> Level:
    """Of all; OK where there are none."""
    return max((finding.level for finding in findings), default=Level.OK)
