"""What the searches for one query have shown so far, with hysteresis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from samlite_ros.types import NO_STAMP


class Outcome(IntEnum):
    """Values of QueryStatus.outcome."""

    UNKNOWN = 0
    FOUND = 1
    NOT_FOUND = 2


@dataclass(frozen=True)
class Hysteresis:
    """Consecutive searches that must agree before the outcome turns.

    Args:
        found_after: Searches that saw it.
        not_found_after: Searches that did not.
    """

    found_after: int = 1
    not_found_after: int = 3


@dataclass
class _CameraEvidence:
    searched_ns: int = NO_STAMP
    streak: int = 0  # > 0: so many searches in a row saw it; < 0: did not
    outcome: Outcome = Outcome.UNKNOWN

    def add(self, stamp_ns: int, seen: bool, hysteresis: Hysteresis) -> None:
        self.searched_ns = stamp_ns
        if seen:
            self.streak = max(self.streak, 0) + 1
        else:
            self.streak = min(self.streak, 0) - 1
        if self.streak >= hysteresis.found_after:
            self.outcome = Outcome.FOUND
        elif -self.streak >= hysteresis.not_found_after:
            self.outcome = Outcome.NOT_FOUND


@dataclass
class Evidence:
    """All searches for one query, over all cameras."""

    presence: float = math.nan
    last_searched_ns: int = NO_STAMP
    last_seen_ns: int = NO_STAMP
    last_seen_camera: str = ""
    _by_camera: dict[str, _CameraEvidence] = field(default_factory=dict)

    def add(self, camera: str, stamp_ns: int, presence: float, seen: bool, hysteresis: Hysteresis) -> None:
        """Count one answer; several answers from one search (masks carried from one keyframe) count once.

        Args:
            camera: Camera that was searched.
            stamp_ns: Stamp of the image that the network searched [ns].
            presence: Probability that the phrase is there, 0 to 1.
            seen: At least one instance was found.
            hysteresis: When the outcome turns.
        """
        known = self._by_camera.setdefault(camera, _CameraEvidence())
        if stamp_ns == known.searched_ns:
            return
        known.add(stamp_ns, seen, hysteresis)
        self.presence, self.last_searched_ns = presence, stamp_ns
        if seen:
            self.last_seen_ns, self.last_seen_camera = stamp_ns, camera

    def outcome(self, cameras: Iterable[str]) -> Outcome:
        """FOUND where any camera has it, NOT_FOUND where every one of `cameras` was searched and has it not."""
        if any(known.outcome == Outcome.FOUND for known in self._by_camera.values()):
            return Outcome.FOUND
        searched = [self._by_camera.get(camera) for camera in cameras]
        if all(known is not None and known.outcome == Outcome.NOT_FOUND for known in searched):
            return Outcome.NOT_FOUND
        return Outcome.UNKNOWN
