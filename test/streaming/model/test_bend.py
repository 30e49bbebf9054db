"""Motion of a thing from its points."""

import numpy as np
import pytest

from samlite_ros.streaming.model.bend import camera_motion, fit_bend
from samlite_ros.streaming.tuning import ShapeTuning

TUNING = ShapeTuning()


def cloud(count: int = 200) -> np.ndarray:
    return np.random.default_rng(0).uniform(50, 150, (count, 2)).astype(np.float32)


def test_an_affine_motion_is_found_in_spite_of_wrong_points():
    then = cloud()
    matrix = np.array([[1.1, -0.05, 7], [0.04, 0.95, -3]], np.float32)
    now = then @ matrix[:, :2].T + matrix[:, 2]
    now[::10] += 60
    bend = fit_bend(then, now, 100.0**2, 1.0, TUNING)
    assert np.abs(bend.then(now[1:9]) - then[1:9]).max() < 0.5
    assert 0.85 < bend.agreeing < 0.95


@pytest.mark.parametrize("along_x, along_y", [(0.35, 1.9), (-1.0, 1.0)], ids=["a sliver", "mirrored"])
def test_nothing_becomes_a_sliver_or_its_mirror_image(along_x, along_y):
    then = cloud()
    now = ((then - 100) * np.array([along_x, along_y]) + 120).astype(np.float32)
    forth = fit_bend(then, now, 100.0**2, 1.0, TUNING).forth[:, :2]
    long, short = np.linalg.svd(forth, compute_uv=False)
    assert np.linalg.det(forth) > 0 and long < 1.01 * short


def test_a_bend_is_followed():
    then = cloud()
    now = then + np.stack([3 * np.sin(then[:, 1] / 25), np.zeros(len(then))], 1).astype(np.float32)
    bend = fit_bend(then, now, 100.0**2, 1.0, TUNING)
    straight = now @ bend.back[:, :2].T + bend.back[:, 2]
    assert np.abs(bend.then(now) - then).mean() < 0.5 * np.abs(straight - then).mean()


def test_few_points_move_it_and_none_leave_it():
    then = np.array([[10, 10], [20, 30]], np.float32)
    bend = fit_bend(then, then + 5, 100.0, 1.0, TUNING)
    assert np.allclose(bend.then(np.array([[50.0, 50.0]], np.float32)), 45)
    none = np.zeros((0, 2), np.float32)
    assert np.allclose(fit_bend(none, none, 100.0, 1.0, TUNING).then(then), then)
    assert fit_bend(none, none, 100.0, 1.0, TUNING).surety == 0


def test_the_camera_turns_and_comes_nearer():
    then = cloud()
    now = ((then - 100) * 1.2 + 110).astype(np.float32)
    back = camera_motion(then, now, 1.0, TUNING)
    at = np.c_[now, np.ones(len(now))] @ back.T
    assert np.abs(at[:, :2] / at[:, 2:] - then).max() < 0.5
