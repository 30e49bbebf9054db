"""What is odd with a camera's depth and calibration: told from what became of the last few images."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass

from samlite_ros.live.locating import Locating
from samlite_ros.streaming.companions import CompanionCounters, StampBuffer

LEAST_IMAGES = 3
"""Fewer images say nothing."""
LONGEST_S = 3.0
"""Then fewer do [s]."""


@dataclass(frozen=True)
class _Counts:
    """Of all that came, or of a while."""

    depth: int = 0
    rejected_depth: int = 0
    calibrations: int = 0
    rejected_calibrations: int = 0
    matched: int = 0
    missed: int = 0
    things: int = 0
    blind: int = 0
    refused: int = 0

    def since(self, before: _Counts) -> _Counts:
        """What came since."""
        return _Counts(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))


class DepthHealth:
    """Judges one camera's depth, once in a while; used from the executor's thread.

    Args:
        locating: Where depth goes.
    """

    def __init__(self, locating: Locating) -> None:
        self._locating, self._companions = locating, locating.companions
        self._odd: tuple[str, str] = ("", "")
        self.restart()

    def restart(self) -> None:
        """What came until now tells nothing any more."""
        self._before, self._begun_s, self._unmatched, self._odd = self._count(), time.monotonic(), 0, ("", "")

    @property
    def stamps_apart_ns(self) -> int:
        """Between the newest image and its depth image, or the newest one where none fits [ns]."""
        counters = _counters(self._companions.depth)
        return counters.missed_apart_ns if self._odd[0] == "unmatched" else counters.apart_ns

    def judge(self) -> tuple[str, str]:
        """A word for what is odd and the same in words; both empty = nothing."""
        now = self._count()
        seen = now.since(self._before)
        images = max(seen.matched + seen.missed, seen.depth + seen.rejected_depth)
        if images >= LEAST_IMAGES or time.monotonic() - self._begun_s > LONGEST_S:
            self._before, self._begun_s = now, time.monotonic()
            never = seen.depth > 0 and seen.matched <= 0 < seen.missed
            self._unmatched = self._unmatched + 1 if never else 0
            self._odd = self._of_depth(seen) or self._of_calibration(seen) or ("", "")
        return self._odd

    def _of_depth(self, seen: _Counts) -> tuple[str, str] | None:
        rejections = self._companions.rejected_depth
        if seen.rejected_depth > seen.depth:
            came = seen.rejected_depth + seen.depth
            return "rejected", f"{seen.rejected_depth} of {came} depth images are rejected: {rejections.last}"
        if seen.refused:
            return "refused", self._locating.counters.last_refusal
        if self._unmatched > 1:  # once may be between an image and its depth
            apart = _duration(_counters(self._companions.depth).missed_apart_ns)
            return "unmatched", f"{seen.missed} of {seen.missed} images without depth: stamps {apart} apart"
        if seen.blind and not seen.things:
            return "blind", "the depth camera measures nothing: all is 0, not finite, saturated or too far"
        return None

    def _of_calibration(self, seen: _Counts) -> tuple[str, str] | None:
        rejections = self._companions.rejected_calibrations
        if seen.rejected_calibrations and not seen.calibrations and _counters(self._companions.calibration).received:
            return "calibration", f"the last good calibration stays in use, what comes is none: {rejections.last}"
        if self._locating.locator.doubt and seen.things:
            return "other camera", self._locating.locator.doubt
        return None

    def _count(self) -> _Counts:
        companions, counters = self._companions, self._locating.counters
        depth = _counters(companions.depth)
        return _Counts(
            depth.received,
            companions.rejected_depth.count,
            _counters(companions.calibration).received,
            companions.rejected_calibrations.count,
            depth.matched,
            depth.missed,
            counters.things,
            counters.blind,
            counters.refused,
        )


def _counters(buffer: StampBuffer | None) -> CompanionCounters:  # type: ignore[type-arg]
    return buffer.counters if buffer is not None else CompanionCounters()


def _duration(apart_ns: int) -> str:
    return f"{apart_ns / 1e6:.0f} ms" if apart_ns < 1e9 else f"{apart_ns / 1e9:,.1f} s"
