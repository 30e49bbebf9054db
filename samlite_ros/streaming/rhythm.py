"""The rhythm of a camera's stamps: where one is missing, an image was lost."""

from __future__ import annotations

from collections import deque

WINDOW = 60
"""The rhythm is read from so many intervals."""
FEWEST = 8
"""With fewer intervals there is no rhythm yet."""
TOLERANCE = 0.2
"""An interval is in rhythm where it differs by at most this share of the period from a multiple of it."""
IN_RHYTHM = 0.8
"""At least this share of the intervals must be; a camera that takes images when it likes loses none by its stamps."""

LONGEST_GAP = 10
"""A gap of more periods is a pause: a camera that waits for a trigger, a player that was held."""


class StampRhythm:
    """Counts the images that are missing between stamps; fed with every stamp, in the order of arrival."""

    def __init__(self) -> None:
        self.missing = 0
        self._last_ns = 0
        self._intervals: deque[int] = deque(maxlen=WINDOW)

    def add(self, stamp_ns: int) -> None:
        """An image came; where time stands or goes back the rhythm begins anew.

        Args:
            stamp_ns: Its stamp [ns].
        """
        interval, last_ns, self._last_ns = stamp_ns - self._last_ns, self._last_ns, stamp_ns
        if interval <= 0 or not last_ns:
            self._intervals.clear()
            return
        self._intervals.append(interval)
        period = self._period_ns()
        if period:
            gap = round(interval / period)
            self.missing += gap - 1 if 1 <= gap <= LONGEST_GAP else 0

    def begin_anew(self) -> None:
        """What came before says nothing of what comes next."""
        self._last_ns = 0

    def _period_ns(self) -> float:
        """Of the camera [ns]; 0 = no rhythm is seen."""
        if len(self._intervals) < FEWEST:
            return 0.0
        ordered = sorted(self._intervals)
        shortest = ordered[len(ordered) // 20]
        alike = [interval for interval in ordered if interval <= shortest * (1 + TOLERANCE)]
        period = sum(alike) / len(alike)
        fits = sum(abs(i / period - round(i / period)) <= TOLERANCE for i in ordered)
        return period if fits >= IN_RHYTHM * len(ordered) else 0.0
