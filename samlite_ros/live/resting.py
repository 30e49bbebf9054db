"""Which cameras rest: nothing of theirs was computed for a while."""

from __future__ import annotations

import time

REST_S = 30.0
"""What the network keeps of a camera between its images is given back after so long without one [s]."""


class RestingCameras:
    """Watches cameras; used from one thread.

    Args:
        rest_s: See `REST_S`.
    """

    def __init__(self, rest_s: float = REST_S) -> None:
        self._rest_s = rest_s
        self._used_s: dict[str, float] = {}

    def use(self, camera: str) -> None:
        """Something of it is computed."""
        self._used_s[camera] = time.monotonic()

    @property
    def all_rest(self) -> bool:
        """Nothing is computed for any camera."""
        return not self._used_s

    def take(self) -> list[str]:
        """Those that rest since the last call."""
        now_s = time.monotonic()
        rested = [camera for camera, used_s in self._used_s.items() if now_s - used_s > self._rest_s]
        for camera in rested:
            del self._used_s[camera]
        return rested

    def clear(self) -> None:
        """Nothing is kept of any."""
        self._used_s.clear()
