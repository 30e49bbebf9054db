import numpy as np
import pytest

from samlite_ros.streaming.image.geometry import (
    compose,
    corner_shift_px,
    identity,
    invert,
    moved_box,
    scale_of,
    transform,
    translation,
    window_pose,
)


def similarity(scale, angle, x, y):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, x], [s, c, y]], np.float32)


POSES = [identity(), translation([3, -4]), similarity(1.3, 0.4, 5, -7), similarity(0.6, -2.0, -20, 11)]
POINTS = np.array([[0, 0], [10, 3], [-5, 8]], np.float32)


@pytest.mark.parametrize("pose", POSES)
def test_inverse_undoes(pose):
    assert np.allclose(transform(invert(pose), transform(pose, POINTS)), POINTS, atol=1e-4)


@pytest.mark.parametrize("outer", POSES)
@pytest.mark.parametrize("inner", POSES)
def test_composition_applies_the_inner_one_first(outer, inner):
    assert np.allclose(transform(compose(outer, inner), POINTS), transform(outer, transform(inner, POINTS)), atol=1e-3)


def test_batches_equal_single_transforms():
    batch, points = np.stack(POSES), np.stack([POINTS] * len(POSES))
    assert np.allclose(invert(batch), [invert(p) for p in POSES], atol=1e-6)
    assert np.allclose(compose(batch, batch), [compose(p, p) for p in POSES], atol=1e-4)
    assert np.allclose(transform(batch, points), [transform(p, POINTS) for p in POSES], atol=1e-5)
    assert np.allclose(scale_of(batch), [1, 1, 1.3, 0.6], atol=1e-6)


def test_between_windows_corners_count():
    pose = similarity(1.3, 0.4, 5, -7)
    between = window_pose(pose, (100, 50), (90, 40))
    moved = transform(pose, POINTS + np.float32([100, 50])) - np.float32([90, 40])
    assert np.allclose(transform(between, POINTS), moved, atol=1e-3)


def test_boxes_move_by_their_corners():
    pose = np.array([[0, -1, 100], [1, 0, 0]], np.float32)  # a quarter turn
    low, high = moved_box(np.stack([pose, translation([5, 0])]), [(0, 0, 10, 4), (1, 2, 3, 4)])
    assert np.allclose(low, [[96, 0], [6, 2]]) and np.allclose(high, [[100, 10], [8, 4]])
    assert corner_shift_px(translation([3, 4]), (0, 0, 7, 9)) == pytest.approx(5)
