"""What the searches for one query have shown so far, with hysteresis."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from samlite_ros.types import NO_STAMP, Place, Turn

PLACES_KEPT = 256
"""Places that no search has confirmed yet: 8 s at 30 Hz."""
RATE_OVER = 10
"""The rate of searches is that of so many of the last ones."""


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
        settle_ns: Fewer suffice where no further search contradicts them for so long [ns]: a still scene is not
            searched again.
    """

    found_after: int = 2
    not_found_after: int = 3
    settle_ns: int = 2_000_000_000


@dataclass(frozen=True)
class Finding:
    """What one search for one prompt in one image showed.

    Args:
        stamp_ns: Stamp of the image [ns].
        presence: Probability that the prompt is there, 0 to 1.
        seen: At least one instance was found.
    """

    stamp_ns: int
    presence: float
    seen: bool


@dataclass(frozen=True)
class LastPlace:
    """Where something was seen last in space.

    Args:
        position_m: (x, y, z) [m].
        sigma_m: Standard deviation of the position along its least sure axis [m]; infinite = not known.
        frame_id: Frame of the position.
        stamp_ns: Of the image [ns].
    """

    position_m: tuple[float, float, float]
    sigma_m: float
    frame_id: str
    stamp_ns: int

    @classmethod
    def of(cls, place: Place) -> LastPlace:
        """What is remembered of a place."""
        x, y, z = place.position_m.tolist()
        covariance = place.covariance_m2
        is_known = bool(np.isfinite(covariance).all())
        variance = float(np.linalg.eigvalsh((covariance + covariance.T) / 2)[-1]) if is_known else math.inf
        sigma_m = math.sqrt(max(variance, 0.0))
        return cls((x, y, z), sigma_m, place.frame_id, place.stamp_ns)


@dataclass
class _CameraHistory:
    searched_ns: int = NO_STAMP
    streak: int = 0  # > 0: so many searches in a row saw it; < 0: did not
    streak_began_ns: int = NO_STAMP  # stamp of the image of its first search
    outcome: Outcome = Outcome.UNKNOWN

    def count(self, search_ns: int, seen: bool) -> None:
        if seen != (self.streak > 0) or self.streak == 0:
            self.streak, self.streak_began_ns = 0, search_ns
        self.streak += 1 if seen else -1
        self.searched_ns = search_ns

    def settle(self, answer_ns: int, hysteresis: Hysteresis) -> None:
        enough = hysteresis.found_after if self.streak > 0 else hysteresis.not_found_after
        if abs(self.streak) >= enough or answer_ns - self.streak_began_ns >= hysteresis.settle_ns:
            self.outcome = Outcome.FOUND if self.streak > 0 else Outcome.NOT_FOUND


@dataclass
class SearchHistory:
    """All searches for one query, over all cameras."""

    presence: float = math.nan
    last_searched_ns: int = NO_STAMP
    last_seen_ns: int = NO_STAMP
    last_seen_camera: str = ""
    last_place: LastPlace | None = None
    _places: deque[LastPlace] = field(default_factory=lambda: deque(maxlen=PLACES_KEPT))
    _is_seen: bool = True  # by the newest search of the camera that saw it last
    _by_camera: dict[str, _CameraHistory] = field(default_factory=dict)
    _turns: dict[str, Turn] = field(default_factory=dict)
    _searches_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RATE_OVER + 1))
    _answered_ns: int = NO_STAMP

    def add(self, camera: str, answer_ns: int, finding: Finding, hysteresis: Hysteresis) -> None:
        """Count one answer; several answers from one search (masks carried from one keyframe) count once.

        Args:
            camera: Camera that was searched.
            answer_ns: Stamp of the answered frame [ns].
            finding: What the search that the answer rests on showed.
            hysteresis: When the outcome turns.
        """
        known = self._by_camera.setdefault(camera, _CameraHistory())
        self._answered_ns = answer_ns
        if finding.stamp_ns != known.searched_ns:
            known.count(finding.stamp_ns, finding.seen)
            self.presence, self.last_searched_ns = finding.presence, finding.stamp_ns
            self._searches_ns.append(finding.stamp_ns)
        if finding.seen:  # also where only a later answer from the same search shows it
            self.last_seen_ns, self.last_seen_camera = finding.stamp_ns, camera
        if finding.seen or camera == self.last_seen_camera:
            self._is_seen = finding.seen
        self._choose_place()
        known.settle(answer_ns, hysteresis)

    def note_place(self, place: LastPlace) -> None:
        """Where it is in a newer image, by its mask; whether it was still there the next search tells."""
        self._places.append(place)
        self._choose_place()

    def _choose_place(self) -> None:
        """The newest; what masks showed after it was seen last is no place of it once a search finds it gone."""
        if not self._places:
            return
        if self._is_seen:
            while len(self._places) > 1 and self._places[1].stamp_ns <= self.last_seen_ns:
                self._places.popleft()
            self.last_place = self._places[-1]
        else:
            nearest = min(self._places, key=lambda place: abs(place.stamp_ns - self.last_seen_ns))
            self._places.clear()
            self._places.append(nearest)
            self.last_place = nearest

    def note_recall(self, camera: str, stamp_ns: int) -> bool:
        """It was found in an older image [ns]; returns whether that is the newest in which it was."""
        is_news = stamp_ns > self.last_seen_ns
        if is_news:
            self.last_seen_ns, self.last_seen_camera = stamp_ns, camera
        return is_news

    def note_turn(self, camera: str, turn: Turn | None) -> None:
        """How it takes turns with other queries of a camera; None = it does not."""
        if turn is None:
            self._turns.pop(camera, None)
        else:
            self._turns[camera] = turn

    @property
    def turn(self) -> Turn | None:
        """That of the camera where it waits longest; None = nowhere it waits."""
        return max(self._turns.values(), key=lambda turn: turn.wait_s, default=None)

    @property
    def rate_hz(self) -> float:
        """Searches a second lately, over all cameras [Hz]; it falls while answers come without a search."""
        first_ns, last_ns = min(self._searches_ns, default=0), max(self._searches_ns, default=0)
        span_ns = max(last_ns, self._answered_ns) - first_ns
        return (len(self._searches_ns) - 1) * 1e9 / span_ns if last_ns > first_ns else 0.0

    def outcome(self, cameras: Iterable[str]) -> Outcome:
        """FOUND where any camera has it, NOT_FOUND where every one of `cameras` was searched and has it not."""
        if any(known.outcome == Outcome.FOUND for known in self._by_camera.values()):
            return Outcome.FOUND
        searched = [self._by_camera.get(camera) for camera in cameras]
        if all(known is not None and known.outcome == Outcome.NOT_FOUND for known in searched):
            return Outcome.NOT_FOUND
        return Outcome.UNKNOWN
