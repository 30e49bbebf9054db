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
    assert (places.counters.disbelieved, places.counters.restarts) == (4, 1)
    assert np.abs(wild[0]).max() < 0.01
    assert wild[-1] == pytest.approx(np.full(3, 0.5), abs=0.01)


def test_a_track_that_comes_back_begins_anew() -> None:
    places = PlaceFilter()
    run(np.zeros((10, 3)), places)
    later = places.update(100 * STEP_NS, [7], np.full((1, 3), 0.5), COVARIANCE[None])
    assert later[0][0] == pytest.approx(np.full(3, 0.5), abs=1e-6)
    assert later[1][0] == pytest.approx(COVARIANCE, rel=0.01)


CAMERA_NOISE = 0.002
BEARINGS = ([-0.234, -0.136, 1.401], [0.5, 0.2, 1.2], [0.0, 0.0, 1.5], [-0.3, 0.4, 3.0])
MINUTES = 10


def seen_from_a_camera(position, scale: float = 1.0) -> np.ndarray:
    """Covariance (3, 3): along the ray the depth's error, across it the mask's; slanted wherever x or y is not 0."""
    position = np.array(position)
    along = np.outer(position, position) / (position @ position)
    depth, mask = 0.5 * CAMERA_NOISE * position[2] ** 2, 1.5 * position[2] / 600
    return scale**2 * (depth**2 * along + mask**2 * (np.eye(3) - along))


def follow(places: PlaceFilter, positions, covariances, stamps_ns) -> tuple[np.ndarray, np.ndarray]:
    """One track; (T, 3), (T, 3, 3)."""
    told = [
        places.update(int(t), [7], z[None], r[None]) for t, z, r in zip(stamps_ns, positions, covariances, strict=True)
    ]
    return np.array([p[0] for p, _ in told]), np.array([c[0] for _, c in told])


def stamps_of(seconds: float, rate_hz: float, rng, *, spoilt: bool) -> np.ndarray:
    """With jitter, gaps and images that come twice."""
    steps = np.full(int(seconds * rate_hz), 1e9 / rate_hz)
    if spoilt:
        steps *= rng.uniform(0.3, 1.7, len(steps))
        steps[rng.random(len(steps)) < 0.02] = 0
        steps[rng.random(len(steps)) < 0.01] += 6e8
        steps[rng.random(len(steps)) < 0.002] += 3e9
    return 10**9 + np.cumsum(steps)


@pytest.mark.parametrize(
    ("rate_hz", "spoilt"), [(10, False), (10, True), (30, True)], ids=["10 even", "10 spoilt", "30 spoilt"]
)
def test_minutes_of_an_unbroken_track_stay_sound(rate_hz, spoilt) -> None:
    rng = np.random.default_rng(rate_hz)
    stamps = stamps_of(60 * MINUTES, rate_hz, rng, spoilt=spoilt)
    truth = np.array(BEARINGS)
    covariances = np.array([seen_from_a_camera(position) for position in BEARINGS])
    roots, places = np.linalg.cholesky(covariances), PlaceFilter()
    worst = 0.0
    for stamp in stamps:
        noise = np.einsum("nij,nj->ni", roots, rng.standard_normal((len(truth), 3)))
        positions, told = places.update(int(stamp), [1, 2, 3, 4], truth + noise, covariances)
        worst = max(worst, float((np.linalg.norm(positions - truth, axis=1) / truth[:, 2]).max()))
        assert np.array_equal(told, told.transpose(0, 2, 1)) and (np.linalg.eigvalsh(told) > 0).all()
    assert worst < 0.02
    assert places.counters.unsound == places.counters.restarts == 0


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1e2, 1e6], ids=str)
def test_very_sure_and_very_unsure_measurements_stay_sound(scale) -> None:
    rng = np.random.default_rng(4)
    stamps = stamps_of(60, 30, rng, spoilt=True)
    covariance = seen_from_a_camera(BEARINGS[0], scale)
    noise = rng.standard_normal((len(stamps), 3)) @ np.linalg.cholesky(covariance).T
    positions, told = follow(PlaceFilter(), noise, np.tile(covariance, (len(stamps), 1, 1)), stamps)
    assert (np.linalg.eigvalsh(told) > 0).all()
    assert np.abs(positions).max() < 6 * np.sqrt(np.trace(covariance))


def test_variances_that_change_by_decades_stay_sound() -> None:
    rng = np.random.default_rng(5)
    stamps = stamps_of(60, 30, rng, spoilt=True)
    scales = 10.0 ** rng.uniform(-3, 3, len(stamps))
    covariances = np.array([seen_from_a_camera(BEARINGS[1], scale) for scale in scales])
    noise = np.einsum("nij,nj->ni", np.linalg.cholesky(covariances), rng.standard_normal((len(stamps), 3)))
    positions, told = follow(PlaceFilter(), noise, covariances, stamps)
    assert np.isfinite(positions).all() and (np.linalg.eigvalsh(told) > 0).all()


@pytest.mark.parametrize(
    ("position", "covariance"),
    [
        (np.full(3, np.nan), COVARIANCE),
        (np.full(3, np.inf), COVARIANCE),
        (np.zeros(3), np.full((3, 3), np.nan)),
        (np.zeros(3), np.zeros((3, 3))),
        (np.zeros(3), -COVARIANCE),
        (np.zeros(3), np.ones((3, 3))),
        (np.zeros(3), np.eye(3) * 1e300),
    ],
    ids=["nan", "inf", "variance nan", "zero", "negative", "flat", "huge"],
)
def test_what_is_no_measurement_is_counted_and_the_track_begins_anew(position, covariance) -> None:
    places = PlaceFilter()
    run(np.zeros((10, 3)), places)
    places.update(11 * STEP_NS, [7], position[None], covariance[None])
    assert places.counters.unsound == 1
    assert run(np.ones((1, 3)), places, start=12)[0] == pytest.approx(np.ones(3))


def test_an_estimate_that_broke_begins_anew() -> None:
    places = PlaceFilter()
    run(np.zeros((10, 3)), places)
    places._tracks[7].covariance[:3, :3] = -np.eye(3)
    assert run(np.ones((1, 3)), places, start=11)[0] == pytest.approx(np.ones(3))
    assert places.counters.unsound == 1
    assert np.isfinite(run(np.ones((5, 3)), places, start=12)).all()


def test_the_same_image_twice_makes_nothing_surer() -> None:
    places = PlaceFilter()
    run(np.zeros((10, 3)), places)
    once = places.update(11 * STEP_NS, [7], np.full((1, 3), 0.01), COVARIANCE[None])
    for _ in range(20):
        again = places.update(11 * STEP_NS, [7], np.full((1, 3), 0.01), COVARIANCE[None])
    assert again[0] == pytest.approx(once[0]) and again[1] == pytest.approx(once[1])


def test_what_every_image_gets_wrong_is_not_smoothed_away() -> None:
    """Errors of which most is the same in every image: what is told holds for them."""
    rng, share, off = np.random.default_rng(6), SmoothingTuning().constant_share, []
    for _ in range(60):
        constant = np.sqrt(share) * NOISE_M * rng.standard_normal(3)
        path = constant + np.sqrt(1 - share) * NOISE_M * rng.standard_normal((90, 3))
        positions, told = follow(PlaceFilter(), path, np.tile(COVARIANCE, (90, 1, 1)), STEP_NS * np.arange(1, 91))
        off.append(positions[-1] @ np.linalg.inv(told[-1]) @ positions[-1])
    assert np.median(off) == pytest.approx(2.4, rel=0.4)
    assert np.percentile(off, 95) < 12


def test_nothing_measured_is_no_fault() -> None:
    positions, covariances = PlaceFilter().update(1, [], np.zeros((0, 3)), np.zeros((0, 3, 3)))
    assert len(positions) == len(covariances) == 0
