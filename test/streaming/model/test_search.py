"""Where a lost thing is looked for: near by its colours, and anywhere by its template."""

import numpy as np
import pytest
from painted_objects import RED, TUNING, image_of, keyframe, learn

from samlite_ros.streaming.image.geometry import identity, transform, translation
from samlite_ros.streaming.model.search import find_by_color, find_by_template

BOX, BLUE = (100, 80, 160, 140), (40, 40, 200)
SMALL = (30, 40, 52, 60)


def shifted(dx, dy):
    return (BOX[0] + dx, BOX[1] + dy, BOX[2] + dx, BOX[3] + dy)


def test_colours_lead_to_where_a_thing_is():
    model = learn(keyframe([BOX]), 0)
    center = find_by_color(image_of([shifted(18, -9)]), model, np.float32([130, 110]), TUNING.search)
    assert np.allclose(center, [147.5, 100.5], atol=1.5)


def test_without_its_colours_nothing_leads_away():
    model = learn(keyframe([BOX]), 0)
    assert np.allclose(find_by_color(image_of([]), model, np.float32([130, 110]), TUNING.search), [130, 110])


@pytest.mark.parametrize("place", [(200, 150), (5, 6), (292, 214)])
def test_a_template_is_found_wherever_it_is(place):
    x, y = place
    now = (x, y, x + 22, y + 20)
    model = learn(keyframe([SMALL]), 0)
    poses = find_by_template(image_of([now, BOX], colors=[RED, BLUE]), model, identity(), TUNING.search)
    (center,) = transform(poses[0], np.float32([[41, 50]]))
    assert np.allclose(center, [x + 11, y + 10], atol=2)


def test_the_likeliest_place_comes_first_and_the_next_ones_lie_apart():
    model = learn(keyframe([SMALL], colors=[(200, 40, 40)]), 0)
    image = image_of([(200, 150, 222, 170), (90, 100, 112, 120)], colors=[(180, 60, 50), (200, 40, 40)])
    first, second = (
        transform(p, np.float32([[41, 50]]))[0] for p in find_by_template(image, model, identity(), TUNING.search)[:2]
    )
    assert np.allclose(first, [101, 110], atol=2) and np.allclose(second, [211, 160], atol=2)


def test_size_and_turn_are_those_of_the_pose():
    grown = np.array([[1.5, 0, -20], [0, 1.5, 30]], np.float32)
    model = learn(keyframe([SMALL]), 0)
    (pose, *_) = find_by_template(image_of([(200, 150, 233, 180)]), model, grown, TUNING.search)
    assert np.allclose(pose[:, :2], grown[:, :2])
    assert np.allclose(transform(pose, np.float32([[41, 50]])), [[216.5, 165]], atol=2)


@pytest.mark.parametrize("pose", [translation([0, 0]) * np.float32(0.1), translation([0, 0]) * np.float32(30)])
def test_what_is_too_small_or_too_large_is_not_searched(pose):
    assert find_by_template(image_of([SMALL]), learn(keyframe([SMALL]), 0), pose, TUNING.search) == []
