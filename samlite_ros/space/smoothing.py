"""Positions over time: a Kalman filter with constant velocity for each track, all of them at once.

State: position and velocity; between two images a white acceleration. The covariance is corrected in Joseph's form and
made symmetric: in the short form rounding errors of its antisymmetric part grow without bound, within seconds. Source:
Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation (2001), 6.2.2, 5.2.3 for the form
and 5.4.2 for the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
_EYE3, _EYE6 = np.eye(3), np.eye(6)
SOUND_M2 = (1e-14, 1e14)
"""Variances outside are no measurement's [m^2]."""
SOUND_RATIO = 1e-13
"""Of the least to the greatest variance of one position: less is lost in float64."""


@dataclass(frozen=True)
class SmoothingTuning:
    """How positions are smoothed.

    Args:
        acceleration_m_s2: Standard deviation of the acceleration; more follows faster and smooths less.
        speed_m_s: Standard deviation of the speed of what is new.
        gate: A measurement that is so many standard deviations away is not believed at first (of three, squared).
        refused_most: So many in a row are not believed; then the thing is there.
        constant_share: Of a measurement's variance: what the next ones have too.
        gap_s: What was not measured for so long begins anew [s].
    """

    acceleration_m_s2: float = 1.5
    speed_m_s: float = 0.5
    gate: float = 25.0
    refused_most: int = 3
    constant_share: float = 0.8
    gap_s: float = 1.0


@dataclass
class SmoothingCounters:
    """What was odd.

    Args:
        disbelieved: Measurements too far from what was predicted.
        restarts: Tracks that began anew because several measurements in a row were.
        unsound: Measurements or estimates that are none: not finite, or of variances that are not positive.
    """

    disbelieved: int = 0
    restarts: int = 0
    unsound: int = 0


@dataclass
class _Track:
    """Position and velocity, float64 (6,), and their covariance, (6, 6)."""

    stamp_ns: int
    state: Array
    covariance: Array
    refused: int = 0


@dataclass
class PlaceFilter:
    """Smooths the positions of one camera's tracks; used from one thread.

    Most of a measurement's error is the same in every image: the border that is not looked at, the calibration. It is
    no noise, and no number of images takes it away: that share of the newest covariance stays in what is told. (The
    rest is told as of a thing with so much less acceleration.)

    Args:
        tuning: How.
        counters: What was odd.
    """

    tuning: SmoothingTuning = field(default_factory=SmoothingTuning)
    counters: SmoothingCounters = field(default_factory=SmoothingCounters)
    _tracks: dict[int, _Track] = field(default_factory=dict, init=False)

    def update(
        self, stamp_ns: int, track_ids: Sequence[int], positions_m: Array, covariances_m2: Array
    ) -> tuple[Array, Array]:
        """Take the measurements of one image.

        Args:
            stamp_ns: Of the image [ns]; one that came before is not taken again.
            track_ids: N different ones. What is not among them for a while is forgotten.
            positions_m: float64 (N, 3) [m].
            covariances_m2: float64 (N, 3, 3) [m^2].

        Returns:
            The smoothed positions and their covariances, of the same shapes. What is no measurement comes back as it
            is, and its track begins anew.
        """
        self._forget_old(stamp_ns)
        positions, covariances = positions_m.copy(), covariances_m2.copy()
        sound = _are_measurements(positions_m, covariances_m2)
        known = np.array([track_id in self._tracks for track_id in track_ids], np.bool_)
        for row in np.flatnonzero(~(sound & known)).tolist():
            self._begin(stamp_ns, track_ids[row], positions_m[row], covariances_m2[row], bool(sound[row]))
        rows = np.flatnonzero(sound & known)
        if len(rows):
            ids = [track_ids[row] for row in rows.tolist()]
            positions[rows], followed = self._follow(stamp_ns, ids, positions_m[rows], covariances_m2[rows])
            share = self.tuning.constant_share
            covariances[rows] = (1 - share) * followed + share * covariances_m2[rows]
        return positions, covariances

    def clear(self) -> None:
        """Forget all: time jumped, or the frame is another one."""
        self._tracks.clear()

    def _forget_old(self, stamp_ns: int) -> None:
        gap_ns = self.tuning.gap_s * 1e9
        self._tracks = {i: t for i, t in self._tracks.items() if 0 <= stamp_ns - t.stamp_ns <= gap_ns}

    def _begin(self, stamp_ns: int, track_id: int, position: Array, noise: Array, is_sound: bool = True) -> None:
        """The first measurement decides alone."""
        self._tracks.pop(track_id, None)
        if not is_sound:
            self.counters.unsound += 1
            return
        covariance = np.zeros((6, 6))
        covariance[:3, :3] = (noise + noise.T) / 2
        covariance[3:, 3:] = _EYE3 * self.tuning.speed_m_s**2
        self._tracks[track_id] = _Track(stamp_ns, np.concatenate([position, np.zeros(3)]), covariance)

    def _follow(self, stamp_ns: int, track_ids: Sequence[int], measured: Array, noise: Array) -> tuple[Array, Array]:
        """Predict known tracks, bring in what was measured, keep them; their positions and covariances."""
        tracks = [self._tracks[track_id] for track_id in track_ids]
        dt = np.array([(stamp_ns - track.stamp_ns) / 1e9 for track in tracks])
        states, covariances = self._predict(dt, tracks)
        innovations = measured - states[:, :3]
        inverse = np.linalg.inv(covariances[:, :3, :3] + noise)
        distances = np.einsum("ni,nij,nj->n", innovations, inverse, innovations)
        far = ~(distances <= self.tuning.gate)
        believed = ~far & (dt > 0)
        gains = covariances[:, :, :3] @ inverse * believed[:, None, None]
        states += np.einsum("nij,nj->ni", gains, innovations)
        covariances = _joseph(covariances, gains, noise)
        fails = ~(distances >= 0) | ~_are_measurements(states, covariances)
        self.counters.unsound += int(fails.sum())
        self.counters.disbelieved += int(far.sum())
        for row, (track_id, track) in enumerate(zip(track_ids, tracks, strict=True)):
            refused = track.refused + 1 if far[row] else 0
            if fails[row] or refused > self.tuning.refused_most:
                self.counters.restarts += not fails[row]
                self._begin(stamp_ns, track_id, measured[row], noise[row])  # it is there, whatever it seemed before
            else:
                self._tracks[track_id] = _Track(stamp_ns, states[row], covariances[row], refused)
        kept = [self._tracks[track_id] for track_id in track_ids]
        return np.array([t.state[:3] for t in kept]), np.array([t.covariance[:3, :3] for t in kept])

    def _predict(self, dt: Array, tracks: Sequence[_Track]) -> tuple[Array, Array]:
        """States, (N, 6), and covariances, (N, 6, 6), so much later [s]."""
        step = dt[:, None, None]
        ahead = np.tile(_EYE6, (len(dt), 1, 1))
        ahead[:, :3, 3:] = step * _EYE3
        push = np.concatenate([step**2 / 2 * _EYE3, step * _EYE3], 1) * self.tuning.acceleration_m_s2
        states = np.einsum("nij,nj->ni", ahead, np.array([t.state for t in tracks]))
        covariances = np.array([t.covariance for t in tracks])
        return states, ahead @ covariances @ _turned(ahead) + push @ _turned(push)


def _joseph(covariances: Array, gains: Array, noise: Array) -> Array:
    """(N, 6, 6), symmetric and positive whatever the gains: of a sum of squares."""
    kept = np.tile(_EYE6, (len(gains), 1, 1))
    kept[:, :, :3] -= gains
    corrected = kept @ covariances @ _turned(kept) + gains @ noise @ _turned(gains)
    return np.asarray((corrected + _turned(corrected)) / 2)


def _turned(matrices: Array) -> Array:
    return matrices.transpose(0, 2, 1)


def _are_measurements(values: Array, covariances: Array) -> Flags:
    """bool (N,): finite, and the variances of the position are positive, neither too small nor too large to reckon."""
    finite: Flags = np.asarray(np.isfinite(values).all(1) & np.isfinite(covariances).all((1, 2)))
    of_positions = np.where(finite[:, None, None], covariances[:, :3, :3], _EYE3)
    variances = np.linalg.eigvalsh((of_positions + _turned(of_positions)) / 2)
    least, greatest = variances[:, 0], variances[:, -1]
    return np.asarray(finite & (least >= SOUND_M2[0]) & (greatest <= SOUND_M2[1]) & (least >= SOUND_RATIO * greatest))
