"""Positions over time: a Kalman filter with constant velocity for each track, all of them at once.

State: position and velocity; between two images a white acceleration. Source: Bar-Shalom, Li, Kirubarajan, Estimation
with Applications to Tracking and Navigation (2001), 6.2.2, and 5.4.2 for the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SmoothingTuning:
    """How positions are smoothed.

    Args:
        acceleration_m_s2: Standard deviation of the acceleration; more follows faster and smooths less.
        speed_m_s: Standard deviation of the speed of what is new.
        gate: A measurement that is so many standard deviations away is not believed at first (of three, squared).
        refused_most: So many in a row are not believed; then the thing is there.
        gap_s: What was not measured for so long begins anew [s].
    """

    acceleration_m_s2: float = 1.5
    speed_m_s: float = 0.5
    gate: float = 25.0
    refused_most: int = 3
    gap_s: float = 1.0


@dataclass
class _State:
    stamp_ns: int
    position: Array
    velocity: Array
    covariance: Array  # (6, 6)
    refused: int = 0


@dataclass
class PlaceFilter:
    """Smooths the positions of one camera's tracks; used from one thread.

    Args:
        tuning: How.
    """

    tuning: SmoothingTuning = field(default_factory=SmoothingTuning)
    _states: dict[int, _State] = field(default_factory=dict, init=False)

    def update(
        self, stamp_ns: int, track_ids: Sequence[int], positions_m: Array, covariances_m2: Array
    ) -> tuple[Array, Array]:
        """Take the measurements of one image.

        Args:
            stamp_ns: Of the image [ns].
            track_ids: N different ones. What is not among them for a while is forgotten.
            positions_m: float64 (N, 3) [m].
            covariances_m2: float64 (N, 3, 3) [m^2].

        Returns:
            The smoothed positions and their covariances, of the same shapes.
        """
        self._forget_old(stamp_ns)
        states = [
            self._states.get(track_id) or self._begin(stamp_ns, position, covariance)
            for track_id, position, covariance in zip(track_ids, positions_m, covariances_m2, strict=True)
        ]
        if not states:
            return positions_m, covariances_m2
        means, covariances = self._predict(stamp_ns, states)
        means, covariances = self._correct(states, means, covariances, positions_m, covariances_m2)
        for track_id, state, mean, covariance in zip(track_ids, states, means, covariances, strict=True):
            self._states[track_id] = _State(stamp_ns, mean[:3], mean[3:], covariance, state.refused)
        return means[:, :3].copy(), covariances[:, :3, :3].copy()

    def clear(self) -> None:
        """Forget all: time jumped, or the frame is another one."""
        self._states.clear()

    def _forget_old(self, stamp_ns: int) -> None:
        gap_ns = self.tuning.gap_s * 1e9
        self._states = {i: s for i, s in self._states.items() if 0 <= stamp_ns - s.stamp_ns <= gap_ns}

    def _begin(self, stamp_ns: int, position: Array, covariance: Array) -> _State:
        start = np.zeros((6, 6))
        start[:3, :3] = covariance * 1e6  # the first measurement decides alone
        start[3:, 3:] = np.eye(3) * self.tuning.speed_m_s**2
        return _State(stamp_ns, position, np.zeros(3), start)

    def _predict(self, stamp_ns: int, states: Sequence[_State]) -> tuple[Array, Array]:
        """float64 (N, 6) and (N, 6, 6): at the time of the image."""
        count = len(states)
        dt = np.array([(stamp_ns - s.stamp_ns) / 1e9 for s in states])
        step = np.tile(np.eye(6), (count, 1, 1))
        step[:, (0, 1, 2), (3, 4, 5)] = dt[:, None]
        means = np.array([[*s.position, *s.velocity] for s in states])
        covariances = np.array([s.covariance for s in states])
        drive = np.zeros((count, 6, 3))
        drive[:, (0, 1, 2), (0, 1, 2)] = (dt**2 / 2)[:, None]
        drive[:, (3, 4, 5), (0, 1, 2)] = dt[:, None]
        noise = self.tuning.acceleration_m_s2**2 * drive @ drive.transpose(0, 2, 1)
        return (step @ means[:, :, None])[:, :, 0], step @ covariances @ step.transpose(0, 2, 1) + noise

    def _correct(
        self, states: Sequence[_State], means: Array, covariances: Array, positions_m: Array, covariances_m2: Array
    ) -> tuple[Array, Array]:
        innovation = positions_m - means[:, :3]
        inverse = np.linalg.inv(covariances[:, :3, :3] + covariances_m2)
        distance = (innovation[:, None] @ inverse @ innovation[:, :, None])[:, 0, 0]
        believed = np.ones(len(states))
        for row, state in enumerate(states):
            if distance[row] <= self.tuning.gate:
                state.refused = 0
            elif state.refused < self.tuning.refused_most:
                state.refused += 1
                believed[row] = 0
            else:  # it is there, whatever it seemed before
                begun = self._begin(state.stamp_ns, positions_m[row], covariances_m2[row])
                state.refused, means[row], covariances[row] = 0, [*positions_m[row], 0, 0, 0], begun.covariance
                innovation[row] = 0
                inverse[row] = np.linalg.inv(covariances[row, :3, :3] + covariances_m2[row])
        gain = covariances[:, :, :3] @ inverse * believed[:, None, None]
        means = means + (gain @ innovation[:, :, None])[:, :, 0]
        corrected = covariances - gain @ covariances[:, :3]
        return means, (corrected + corrected.transpose(0, 2, 1)) / 2
