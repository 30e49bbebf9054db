"""What is learnt of a thing from one keyframe: colours, shape, where it may go on unseen."""

import numpy as np
import pytest
from painted_objects import FLOOR, RED, TUNING, keyframe, learn

from samlite_ros.streaming.image.geometry import identity, translation
from samlite_ros.streaming.image.work_image import COLORS, histogram, prepare, similarity
from samlite_ros.streaming.model.appearance import Prior, build_model, color_model
from samlite_ros.streaming.model.keyframe import KeyframeMask, PaddedKeyframe
from samlite_ros.types import Frame


def at(model, array, x, y):
    return array[y - model.corner[1], x - model.corner[0]]


def test_colours_that_tell_a_thing_from_its_surroundings_are_trusted():
    model = learn(keyframe([(100, 80, 160, 140)]), 0)
    assert model.colors.trust > 0.95
    inside, outside = (at(model, model.color, 130, y) >> 4 for y in (110, 75))
    bins = [int(c[0]) << 8 | int(c[1]) << 4 | int(c[2]) for c in (inside, outside)]
    assert model.colors.log_odds[bins[0]] > 2 and model.colors.log_odds[bins[1]] < -2


def test_colours_that_tell_nothing_are_ignored():
    model = learn(keyframe([(100, 80, 160, 140)], colors=[FLOOR]), 0)
    assert model.colors.trust < 0.1
    assert np.abs(model.colors.log_odds).max() < 0.3
    assert np.allclose(model.colors.probability, 0.5, atol=0.1)


def test_a_histogram_is_smoothed_over_neighbouring_colours_and_sums_to_one():
    shares = histogram(np.full(50, (8 << 8) | (8 << 4) | 8, np.uint16)).reshape(16, 16, 16)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares[8, 8, 8] == pytest.approx(1 / 8) and shares[9, 8, 8] == pytest.approx(1 / 16)


def test_no_pixels_at_all_are_no_evidence():
    empty = histogram(np.zeros(0, np.uint16))
    model = color_model(empty, empty, empty, TUNING.color)
    assert model.log_odds.shape == (COLORS,) and np.all(model.log_odds == 0)


def test_similarity_of_histograms():
    a, b = histogram(np.full(9, 100, np.uint16)), histogram(np.full(9, 4000, np.uint16))
    assert similarity(a, a) == pytest.approx(1, abs=1e-5) and similarity(a, b) == 0


def test_the_signed_distance_is_positive_inside_and_in_fine_pixels():
    model = learn(keyframe([(100, 80, 160, 140)]), 0)
    assert at(model, model.distance, 130, 110) == pytest.approx(59, abs=3)
    assert at(model, model.distance, 130, 84) == pytest.approx(9, abs=1)
    assert at(model, model.distance, 130, 75) == pytest.approx(-9, abs=1)
    assert model.unobserved is None and not model.touches_border


def test_outside_the_image_and_behind_others_is_unknown():
    frame = keyframe([(0, 80, 40, 140), (30, 90, 70, 130)], colors=[RED, (40, 40, 200)])
    model = learn(frame, 0)
    assert model.touches_border
    assert at(model, model.unobserved, -10, 110) == 1
    assert at(model, model.unobserved, 55, 110) == 1
    assert at(model, model.unobserved, 45, 85) == 0


def test_what_shares_its_pixels_does_not_hide_it():
    frame = keyframe([(80, 60, 160, 160), (100, 80, 130, 110)])
    assert learn(frame, 1, frozenset({0})).unobserved is None
    hidden = learn(frame, 1)
    assert at(hidden, hidden.unobserved, 90, 90) == 1


def test_a_hole_is_unknown():
    fine = np.ones((120, 120), bool)
    fine[50:70, 50:70] = False
    image = keyframe([(100, 80, 160, 140)])
    plain = prepare(Frame(np.full((240, 320, 3), 90, np.uint8), 1), TUNING)
    solid = PaddedKeyframe(plain, [KeyframeMask(100, 80, fine)], TUNING.appearance)
    model = learn(solid, 0)
    assert at(model, model.unobserved, 130, 110) == 1
    assert learn(image, 0).unobserved is None


def test_points_are_spread_over_the_thing_and_weigh_less_outside():
    points = learn(keyframe([(100, 80, 160, 140)]), 0).alignment
    used = points.template[points.template_weight > 0]
    assert len(used) == 96
    assert used.min(0) == pytest.approx([100, 80], abs=4) and used.max(0) == pytest.approx([159, 139], abs=4)
    assert set(np.unique(points.template_weight)) == {0.5, 1.0}
    assert np.all(np.abs(points.target - 0.5) <= 0.5) and (points.target > 0.5).any() and (points.target < 0.5).any()


def test_too_small_a_thing_has_no_points():
    assert learn(keyframe([(0, 0, 1, 1)]), 0).alignment is None


def test_what_was_known_of_a_thing_tells_where_it_goes_on_behind_something():
    whole = learn(keyframe([(100, 80, 160, 140)]), 0)
    hidden = keyframe([(110, 80, 135, 140)])
    prior = Prior(whole, translation([10, 0]))
    model = build_model(hidden, 0, frozenset(), hidden.background, TUNING, prior)
    assert at(model, model.unobserved, 150, 110) == 1 and at(model, model.amodal_distance, 150, 110) > 0
    assert at(model, model.unobserved, 172, 110) == 0  # it never reached so far
    assert learn(hidden, 0).unobserved is None
    again = build_model(hidden, 0, frozenset(), hidden.background, TUNING, Prior(model, identity()))
    assert at(again, again.unobserved, 150, 110) == 1  # remembered over more than one keyframe


@pytest.mark.parametrize(
    ("box", "shift"),
    [((110, 80, 170, 140), 10), ((113, 82, 173, 142), 10), ((150, 80, 210, 140), 10)],
    ids=["all of it is seen", "the pose is a little off", "the pose is wrong"],
)
def test_a_thing_that_nothing_hides_ends_where_its_mask_ends(box, shift):
    whole, now = learn(keyframe([(100, 80, 160, 140)]), 0), keyframe([box])
    model = build_model(now, 0, frozenset(), now.background, TUNING, Prior(whole, translation([shift, 0])))
    assert model.unobserved is None and model.amodal_distance is model.distance
