"""Times that others wrote: what holds none is refused, and nowhere wrapped into another one."""

from __future__ import annotations

from typing import Any

from samlite_ros.errors import StampError

NS_PER_S = 1_000_000_000
END_NS = (1 << 31) * NS_PER_S
"""From here on [ns] builtin_interfaces/Time holds no time: in the year 2038."""


def checked_ns(stamp_ns: int, what: str = "stamp") -> int:
    """The time itself [ns].

    Raises:
        StampError: It is before 0, or beyond what a message holds.
    """
    if not 0 <= stamp_ns < END_NS:
        raise StampError(f"{what} of {_seconds(stamp_ns)}: expected 0 to {END_NS // NS_PER_S - 1} s")
    return stamp_ns


def ns_of(sec: int, nanosec: int, what: str = "stamp") -> int:
    """The time [ns] of a message's two fields.

    Raises:
        StampError: It is before 0, beyond what a message holds, or has a second and more of nanoseconds.
    """
    if not 0 <= nanosec < NS_PER_S:
        raise StampError(f"{what} of {sec} s and {nanosec} ns: expected less than {NS_PER_S} ns")
    return checked_ns(int(sec) * NS_PER_S + int(nanosec), what)


def read_stamp_ns(time: Any) -> int:
    """Stamp [ns] of a builtin_interfaces/Time message that somebody else wrote.

    Raises:
        StampError: See `ns_of`.
    """
    return ns_of(int(time.sec), int(time.nanosec))


def _seconds(stamp_ns: int) -> str:
    """In words that stay short however large it is."""
    return f"{stamp_ns / NS_PER_S:.9g} s" if abs(stamp_ns) < 1 << 80 else "more than 10^15 s"
