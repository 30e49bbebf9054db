"""Finding a thing again: the pose is recovered to a fraction of a pixel, under noise and with a part hidden."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from painted_objects import TUNING

from samlite_ros.streaming.image.geometry import identity, transform, translation
from samlite_ros.streaming.image.work_image import prepare
from samlite_ros.streaming.model.alignment import Alignment, Occlusion, align, stack
from samlite_ros.streaming.model.appearance import build_model
from samlite_ros.streaming.model.keyframe import KeyframeMask, PaddedKeyframe
from samlite_ros.types import Frame

CENTER = np.array([160.0, 120.0])


def picture(pose, plain=False, cover=None, seed=0):
    """A disc of radius 30 [work px] at a pose, over a floor that stays."""
    rng = np.random.default_rng(7)
    floor = cv2.resize(rng.uniform(80, 140, (30, 40)).astype(np.float32), (320, 240), interpolation=cv2.INTER_CUBIC)
    texture = cv2.resize(rng.uniform(60, 220, (24, 32)).astype(np.float32), (320, 240), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:240, :320].astype(np.float32)
    disc = ((x - CENTER[0]) ** 2 + (y - CENTER[1]) ** 2 < 30**2).astype(np.float32)
    red = np.full_like(texture, 200) if plain else texture
    thing = np.dstack([red, 0.3 * red, 0.3 * red])
    warped = [cv2.warpAffine(a, pose.astype(np.float64), (320, 240)) for a in (thing, disc)]
    image = np.where(warped[1][..., None] > 0.5, warped[0], floor[..., None])
    if cover is not None:
        image[:, cover] = (40, 160, 200)
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return prepare(Frame(np.clip(image + noise, 0, 255).astype(np.uint8), 1), TUNING), disc > 0.5


def model_of(plain=False):
    image, disc = picture(identity(), plain)
    fine = np.repeat(np.repeat(disc[88:152, 128:192], 2, 0), 2, 1)
    keyframe = PaddedKeyframe(image, [KeyframeMask(128, 88, fine)], TUNING.appearance)
    return build_model(keyframe, 0, frozenset(), keyframe.background, TUNING)


def moved(dx, dy, scale=1.0, angle=0.0):
    matrix = cv2.getRotationMatrix2D((float(CENTER[0]), float(CENTER[1])), float(np.degrees(angle)), scale)
    matrix[:, 2] += dx, dy
    return matrix.astype(np.float32)


def farthest(a, b):
    corners = np.array([[130, 90], [190, 90], [130, 150], [190, 150]], np.float32)
    return float(np.abs(transform(a, corners) - transform(b, corners)).max())


@pytest.mark.parametrize(
    "pose", [moved(0, 0), moved(3, -2), moved(-4, 3, 1.05), moved(1, 1, 0.95, 0.06), moved(2.4, 0.3, 1, -0.08)]
)
def test_a_textured_thing_is_found_to_a_fraction_of_a_pixel(pose):
    found = align(picture(pose)[0], stack([model_of()]), identity()[None], 8, None, TUNING.alignment)
    assert farthest(found.poses[0], pose) < 0.4
    assert found.inlier_share[0] > 0.9 and found.agreement[0] > 0.9 and not found.rejected[0]


def test_a_plain_thing_is_found_by_its_outline():
    pose = moved(4, -3)
    found = align(
        picture(pose, plain=True)[0], stack([model_of(plain=True)]), identity()[None], 8, None, TUNING.alignment
    )
    assert farthest(found.poses[0], pose) < 0.6


def test_a_part_that_another_thing_covers_does_not_pull():
    pose, cover = moved(3, 1), slice(150, 180)
    image, _ = picture(pose, cover=cover)
    owner = np.zeros(image.size, np.int16)
    owner[:, cover] = 1
    occlusion = Occlusion(owner, np.array([[False, True]]))
    found = align(image, stack([model_of()]), identity()[None], 8, occlusion, TUNING.alignment)
    assert farthest(found.poses[0], pose) < 0.5
    assert found.inlier_share[0] < 0.8 < found.agreement[0]


def test_a_thing_that_is_not_there_is_not_believed():
    image, _ = picture(translation([400, 0]))
    found = align(image, stack([model_of()]), identity()[None], 4, None, TUNING.alignment)
    assert found.agreement[0] < 0.3 and found.cost[0] > 15


def test_many_things_at_once_are_as_good_as_one_by_one():
    model, poses = model_of(), [moved(3, -2), moved(-2, 2)]
    image, _ = picture(poses[0])
    starts = np.stack([identity(), translation([2, -1])])
    together = align(image, stack([model, model]), starts, 6, None, TUNING.alignment)
    alone = [align(image, stack([model]), starts[i : i + 1], 6, None, TUNING.alignment) for i in range(2)]
    assert np.allclose(together.poses, np.concatenate([a.poses for a in alone]), atol=1e-3)


def test_of_several_starts_the_cheapest_wins_and_the_first_one_ties():
    rows = Alignment(
        poses=np.stack([translation([i, 0]) for i in range(4)]),
        cost=np.array([5.0, 9.0, 4.9, 3.0], np.float32),
        inlier_share=np.ones(4, np.float32),
        agreement=np.ones(4, np.float32),
        inliers=np.ones((4, 96), bool),
        rejected=np.array([False, False, False, False]),
        support=np.ones(4, np.float32),
    )
    best = rows.best_per_object([0, 1, 0, 1], TUNING.alignment)
    assert best.poses[:, 0, 2].tolist() == [0, 3]
    elsewhere = replace(rows, support=np.array([1, 0.9, 1, 0.1], np.float32))  # the last lies on other colours
    assert elsewhere.best_per_object([0, 1, 0, 1], TUNING.alignment).poses[:, 0, 2].tolist() == [0, 1]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_place_out_of_sight_is_preferred_only_to_one_where_the_thing_is_not(is_there):
    image, _ = picture(moved(2, 1) if is_there else moved(150, 0))
    starts = np.stack([translation([500, 0]), identity()])  # two pixels off is a poor fit
    found = align(image, stack([model_of(), model_of()]), starts, 0, None, TUNING.alignment)
    best = found.best_per_object([0, 0], TUNING.alignment)
    assert np.array_equal(best.poses[0], starts[1 if is_there else 0])


def test_colours_support_the_place_where_the_thing_is():
    image, model = picture(translation([20, 0]))[0], model_of()
    starts = np.stack([translation([20, 0]), translation([-40, 0])])
    found = align(image, stack([model, model]), starts, 0, None, TUNING.alignment)
    assert found.support[0] > 0.9 and found.support[1] < 0.2


def test_things_without_points_cannot_be_stacked():
    with pytest.raises(ValueError, match="1 of 2 objects have no alignment points"):
        stack([model_of(), replace(model_of(), alignment=None)])
