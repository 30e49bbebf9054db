"""Smoothed positions: against the filter written out one track at a time, and what a planner sees of it."""

import numpy as np
import pytest

from samlite_ros.space.smoothing import PlaceFilter, SmoothingTuning

STEP_NS = 33_333_333
NOISE_M = 0.01
COVARIANCE = np.eye(3) * NOISE_M**2


def plain_kalman(measured: np.ndarray, dt: float, tuning: SmoothingTuning) -> np.ndarray:
    """Textbook form, with explicit matrices; float64 (T, 3)."""
    x = np.concatenate([measured[0], np.zeros(3)])
    p = np.diag([NOISE_M**2] * 3 + [tuning.speed_m_s**2] * 3)
    f = np.block([[np.eye(3), dt * np.eye(3)], [np.zeros((3, 3)), np.eye(3)]])
    g = np.vstack([dt**2 / 2 * np.eye(3), dt * np.eye(3)])
    h = np.hstack([np.eye(3), np.zeros((3, 3))])
    out = [x[:3]]
    for z in measured[1:]:
        x, p = f @ x, f @ p @ f.T + g @ g.T * tuning.acceleration_m_s2**2
        k = p @ h.T @ np.linalg.inv(h @ p @ h.T + COVARIANCE)
        x, p = x + k @ (z - h @ x), (np.eye(6) - k @ h) @ p
        out.append(x[:3])
    return np.array(out)


def run(measured: np.ndarray, places: PlaceFilter | None = None, start: int = 1) -> np.ndarray:
    places = places or PlaceFilter()
    return np.array(
        [places.update((start + i) * STEP_NS, [7], m[None], COVARIANCE[None])[0][0] for i, m in enumerate(measured)]
    )


def test_equals_the_textbook() -> None:
    path = np.array([1.0, 2, 3]) + np.random.default_rng(0).normal(size=(40, 3)) * NOISE_M
    assert run(path) == pytest.approx(plain_kalman(path, STEP_NS / 1e9, SmoothingTuning()), abs=1e-6)


def test_what_stands_still_gets_steady_and_what_moves_does_not_lag() -> None:
    noise = np.random.default_rng(1).normal(size=(120, 3)) * NOISE_M
    still = run(noise)[30:]
    assert still.std() < 0.7 * NOISE_M
    moving = np.arange(120)[:, None] * STEP_NS / 1e9 * np.array([0.5, 0, -0.3])
    assert np.abs((run(moving + noise) - moving)[30:].mean(0)).max() < 0.005


def test_several_tracks_do_not_mix() -> None:
    paths = np.random.default_rng(2).normal(size=(30, 3, 3)) * NOISE_M + np.arange(3)[None, :, None]
    places = PlaceFilter()
    together = [
        places.update((1 + i) * STEP_NS, [1, 2, 3], p, np.tile(COVARIANCE, (3, 1, 1)))[0] for i, p in enumerate(paths)
    ]
    for track in range(3):
        assert np.array(together)[:, track] == pytest.approx(run(paths[:, track]), abs=1e-9)


def test_one_wild_measurement_is_not_believed_several_are() -> None:
    places = PlaceFilter()
    run(np.zeros((30, 3)), places)
    wild = run(np.full((6, 3), 0.5), places, start=31)
    assert np.abs(wild[0]).max() < 0.01
    assert wild[-1] == pytest.approx(np.full(3, 0.5), abs=0.01)


def test_a_track_that_comes_back_begins_anew() -> None:
    places = PlaceFilter()
    run(np.zeros((10, 3)), places)
    later = places.update(100 * STEP_NS, [7], np.full((1, 3), 0.5), COVARIANCE[None])
    assert later[0][0] == pytest.approx(np.full(3, 0.5), abs=1e-6)
    assert later[1][0] == pytest.approx(COVARIANCE, rel=0.01)


def test_nothing_measured_is_no_fault() -> None:
    positions, covariances = PlaceFilter().update(1, [], np.zeros((0, 3)), np.zeros((0, 3, 3)))
    assert len(positions) == len(covariances) == 0
