"""Motion from frame to frame: medians and first poses."""

import cv2
import numpy as np
import pytest
from painted_objects import TUNING, image_of, keyframe, learn, track

from samlite_ros.streaming.carry.tracks import TrackBatch, initial_pose, masked_median
from samlite_ros.streaming.image.geometry import corner_shift_px, transform, translation
from samlite_ros.streaming.image.work_image import dense_flow, no_flow, point_grid, prepare
from samlite_ros.types import Frame

BOX = (100, 80, 160, 140)


def shifted(dx, dy):
    return (BOX[0] + dx, BOX[1] + dy, BOX[2] + dx, BOX[3] + dy)


def test_masked_median_equals_numpy():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 9, 2)).astype(np.float32)
    mask = rng.random((5, 9)) < 0.6
    mask[3] = False
    expected = [np.median(v[m], 0) if m.any() else [0, 0] for v, m in zip(values, mask, strict=True)]
    assert np.allclose(masked_median(values, mask), expected)


def test_first_pose_ignores_points_that_slipped():
    points = np.stack(np.meshgrid(np.arange(0, 60, 6), np.arange(0, 60, 6)), -1).reshape(-1, 2).astype(np.float32)
    pose = np.array([[1.02, -0.1, 4], [0.1, 1.02, -3]], np.float32)
    moved = transform(pose, points)
    moved[::4] += 15
    found, fits = initial_pose(points, moved, TUNING.initial_pose)
    assert fits and np.allclose(found, pose, atol=0.02)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_few_points_give_their_median_shift(count):
    points = np.arange(2 * count, dtype=np.float32).reshape(-1, 2)
    pose, fits = initial_pose(points, points + np.float32([3, -2]), TUNING.initial_pose)
    assert not fits and np.allclose(pose, translation([3, -2] if count else [0, 0]))


def test_a_track_follows_over_frames_without_drifting():
    moving = track(learn(keyframe([BOX]), 0))
    batch, before = TrackBatch([moving], TUNING), image_of([BOX])
    for step in range(1, 9):
        now = image_of([shifted(3 * step, 2 * step)])
        batch.carry(now, dense_flow(before, now, TUNING.motion), None)
        before = now
    assert np.allclose(moving.center - moving.model.center, [24, 16], atol=0.5)
    assert np.allclose(moving.velocity, [3, 2], atol=0.5) and moving.inlier_share > 0.8


def test_a_thing_at_rest_stays_exactly_there():
    resting = track(learn(keyframe([BOX]), 0), pose=translation([0.3, -0.2]))
    image = image_of([BOX])
    TrackBatch([resting], TUNING).carry(image, no_flow(image), None)
    assert corner_shift_px(resting.pose, BOX) == 0


def test_a_thing_too_small_to_align_drifts_with_the_image():
    small = track(learn(keyframe([BOX, (0, 0, 1, 1)]), 1))
    assert small.model.alignment is None
    before, now = image_of([(0, 0, 20, 20)]), image_of([(0, 0, 24, 20)])
    TrackBatch([small], TUNING).carry(now, dense_flow(before, now, TUNING.motion), None)
    assert 0 < small.pose[0, 2] < 4


def test_flow_moves_grid_points_with_the_image():
    rng = np.random.default_rng(2)
    texture = cv2.resize(rng.integers(0, 255, (16, 22, 3)).astype(np.uint8), (680, 480), interpolation=cv2.INTER_CUBIC)
    before, now = (prepare(Frame(np.ascontiguousarray(texture[:, x : x + 640]), 1), TUNING) for x in (2, 0))
    points = point_grid(before.size, TUNING.image)
    moved = (dense_flow(before, now, TUNING.motion).advect(points) - points)[10:-10, 10:-10]
    assert np.allclose(np.median(moved, (0, 1)), [1, 0], atol=0.25)  # 2 px of the camera's
