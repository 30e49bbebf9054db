"""Points of the whole image: followed, marked, forgotten."""

import cv2
import numpy as np

from samlite_ros.streaming.image.point_pool import PointPool
from samlite_ros.streaming.tuning import ShapeTuning

SHIFT = np.array([3.0, -2.0], np.float32)


def textured(seed: int = 0, size: tuple[int, int] = (160, 200)) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (size[0] // 4, size[1] // 4)).astype(np.float32)
    return cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def moved(gray: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(gray, np.array([[1, 0, SHIFT[0]], [0, 1, SHIFT[1]]], np.float32), gray.shape[::-1])


def nothing(gray: np.ndarray) -> np.ndarray:
    return np.zeros((gray.shape[0] // 2, gray.shape[1] // 2), np.uint8)


def test_points_follow_the_image_and_marks_stay_aligned():
    gray, pool = textured(), PointPool(ShapeTuning())
    pool.seed(gray, nothing(gray))
    mark = pool.mark()
    pool.follow(gray, moved(gray))
    assert len(mark.places) == len(pool.now) > 50
    off = pool.now - mark.places - SHIFT
    assert np.median(np.abs(off)) < 0.1


def test_new_points_come_after_those_that_a_mark_knows():
    gray, pool = textured(), PointPool(ShapeTuning())
    pool.seed(gray, nothing(gray))
    mark = pool.mark()
    known = len(mark.places)
    later = moved(gray)
    pool.follow(gray, later)
    pool.seed(later, nothing(later))
    assert len(pool.now) >= len(mark.places)
    assert len(mark.places) <= known


def test_things_get_their_share_of_the_points():
    gray = textured(size=(320, 400))
    owner = nothing(gray)
    owner[40:80, 60:120] = 1
    pool = PointPool(ShapeTuning(most_points=100, most_points_thing=70))
    pool.seed(gray, owner)
    assert len(pool.now) <= 100
    assert 40 <= np.count_nonzero(pool.on_thing) <= 70


def test_what_does_not_find_back_is_dropped():
    gray, pool = textured(), PointPool(ShapeTuning())
    pool.seed(gray, nothing(gray))
    before = len(pool.now)
    pool.follow(gray, textured(seed=1))
    assert len(pool.now) < before / 2


def test_a_forgotten_mark_is_left_as_it_was():
    gray, pool = textured(), PointPool(ShapeTuning())
    pool.seed(gray, nothing(gray))
    old, kept = pool.mark(), pool.mark()
    pool.keep_only([kept])
    pool.follow(gray, textured(seed=1))
    assert len(kept.places) == len(pool.now) < len(old.places)


def test_thinned_out_points_stay_aligned_with_marks_and_spread_over_things_and_the_rest():
    gray = textured(size=(320, 400))
    owner = nothing(gray)
    owner[40:80, 60:120] = 1
    pool = PointPool(ShapeTuning(most_points=200))
    pool.seed(gray, owner)
    mark, share = pool.mark(), pool.on_thing.mean()
    pool.thin(60)
    assert 60 <= len(pool.now) <= 62
    assert np.array_equal(mark.places, pool.now)
    assert abs(pool.on_thing.mean() - share) < 0.05
    pool.thin(60)
    assert np.array_equal(mark.places, pool.now)
