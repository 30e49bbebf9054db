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
_EYE = np.eye(3)


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
    """One track: position and velocity, and the blocks of their covariance."""

    stamp_ns: int
    position: Array
    velocity: Array
    blocks: Array  # (3, 3, 3): of the positions, of positions with velocities, of the velocities
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
        positions, velocities, blocks = self._predict(stamp_ns, states)
        self._correct(states, positions, velocities, blocks, positions_m, covariances_m2)
        for row, (track_id, state) in enumerate(zip(track_ids, states, strict=True)):
            self._states[track_id] = _State(stamp_ns, positions[row], velocities[row], blocks[:, row], state.refused)
        return positions.copy(), blocks[0].copy()

    def clear(self) -> None:
        """Forget all: time jumped, or the frame is another one."""
        self._states.clear()

    def _forget_old(self, stamp_ns: int) -> None:
        gap_ns = self.tuning.gap_s * 1e9
        self._states = {i: s for i, s in self._states.items() if 0 <= stamp_ns - s.stamp_ns <= gap_ns}

    def _begin(self, stamp_ns: int, position: Array, covariance: Array) -> _State:
        """The first measurement decides alone."""
        blocks = np.stack([covariance * 1e6, np.zeros((3, 3)), _EYE * self.tuning.speed_m_s**2])
        return _State(stamp_ns, position, np.zeros(3), blocks)

    def _predict(self, stamp_ns: int, states: Sequence[_State]) -> tuple[Array, Array, Array]:
        """Positions and velocities, (N, 3), and blocks of the covariances, (3, N, 3, 3), at the time of the image."""
        dt = np.array([(stamp_ns - s.stamp_ns) / 1e9 for s in states])[:, None]
        positions, velocities = np.array([s.position for s in states]), np.array([s.velocity for s in states])
        of_positions, across, of_velocities = np.array([s.blocks for s in states]).transpose(1, 0, 2, 3)
        step, drive = dt[:, None], self.tuning.acceleration_m_s2**2 * _EYE
        blocks = np.stack(
            [
                of_positions + step * (across + across.transpose(0, 2, 1) + step * of_velocities) + step**4 / 4 * drive,
                across + step * of_velocities + step**3 / 2 * drive,
                of_velocities + step**2 * drive,
            ]
        )
        return positions + dt * velocities, velocities, blocks

    def _correct(
        self,
        states: Sequence[_State],
        positions: Array,
        velocities: Array,
        blocks: Array,
        positions_m: Array,
        covariances_m2: Array,
    ) -> None:
        """Bring in the measurements; what was predicted is written over."""
        innovation = (positions_m - positions)[:, :, None]
        inverse = np.linalg.inv(blocks[0] + covariances_m2)
        distance = (innovation.transpose(0, 2, 1) @ inverse @ innovation)[:, 0, 0]
        for row in np.flatnonzero(distance > self.tuning.gate).tolist():
            if states[row].refused < self.tuning.refused_most:
                states[row].refused += 1
                inverse[row] = 0  # it is not believed
                continue
            begun = self._begin(0, positions_m[row], covariances_m2[row])  # it is there, whatever it seemed before
            positions[row], velocities[row], blocks[:, row] = begun.position, begun.velocity, begun.blocks
            innovation[row], states[row].refused = 0, 0
            inverse[row] = np.linalg.inv(blocks[0, row] + covariances_m2[row])
        for row in np.flatnonzero(distance <= self.tuning.gate).tolist():
            states[row].refused = 0
        of_positions, across = blocks[0].copy(), blocks[1].copy()
        gain, velocity_gain = of_positions @ inverse, across.transpose(0, 2, 1) @ inverse
        positions += (gain @ innovation)[:, :, 0]
        velocities += (velocity_gain @ innovation)[:, :, 0]
        blocks[0] -= gain @ of_positions
        blocks[1] -= gain @ across
        blocks[2] -= velocity_gain @ across
