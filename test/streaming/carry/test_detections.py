"""One detection for what several prompts find, and what is part of what."""

import numpy as np
import pytest
from painted_objects import TUNING
from prompts import prompts

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.streaming.carry.detections import detections_from, merge_matches, nested_with, to_keyframe_mask
from samlite_ros.streaming.carry.tracks import PromptMatch
from samlite_ros.types import Prompt, PromptResult


def box_mask(x0, y0, x1, y1, size=(480, 640)):
    inside = np.zeros(size, bool)
    inside[y0:y1, x0:x1] = True
    return mask_from_array(inside)


def result(phrase, *entries):
    scores = np.array([score for score, _ in entries], np.float32)
    masks = tuple(box_mask(*box) for _, box in entries)
    return PromptResult(Prompt(phrase), 0.9, scores, np.zeros((len(masks), 4), np.float32), masks)


def test_two_phrases_that_find_one_thing_make_one_detection():
    results = [result("ball", (0.9, (100, 100, 160, 160))), result("sphere", (0.8, (102, 100, 160, 161)))]
    (detection,) = detections_from(
        results, dict.fromkeys(prompts("ball", "sphere"), 128), 7, (240, 320), True, TUNING.detection
    )
    assert [(m.prompt.display, m.keyframe_ns) for m in detection.matches] == [("ball", 7), ("sphere", 7)]
    assert (
        len(
            detections_from(
                results, dict.fromkeys(prompts("ball", "sphere"), 128), 7, (240, 320), False, TUNING.detection
            )
        )
        == 2
    )


def test_two_findings_of_one_phrase_are_two_things():
    results = [result("ball", (0.9, (100, 100, 160, 160)), (0.8, (102, 100, 160, 161)))]
    assert len(detections_from(results, {Prompt("ball"): 128}, 7, (240, 320), True, TUNING.detection)) == 2


def test_phrases_that_are_no_longer_asked_for_are_left_out():
    assert (
        detections_from(
            [result("ball", (0.9, (1, 1, 60, 60)))], {Prompt("cup"): 128}, 7, (240, 320), True, TUNING.detection
        )
        == []
    )


def test_the_query_decides_which_pixels_are_inside():
    soft = box_mask(100, 100, 140, 140)
    soft.probability[:20] = 100
    found = PromptResult(Prompt("ball"), 0.9, np.float32([0.9]), np.zeros((1, 4), np.float32), (soft,))
    areas = [
        detections_from([found], {Prompt("ball"): level}, 7, (240, 320), True, TUNING.detection)[
            0
        ].keyframe_mask.inside.sum()
        for level in (128, 90)
    ]
    assert areas == [20 * 10, 20 * 20]


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (1080, 1920), (100, 160)])
def test_masks_keep_their_place_on_the_fine_grid(size):
    work = (min(size[0], round(size[0] * 320 / size[1])), min(size[1], 320))
    y0, x0, y1, x1 = (int(f * s) for f, s in zip((0.3, 0.2, 0.6, 0.7), (*size, *size), strict=True))
    mask = to_keyframe_mask(box_mask(x0, y0, x1, y1, size), work)
    scale = work[1] / size[1]
    assert np.allclose(mask.box_xyxy, np.array([x0, y0, x1, y1]) * scale, atol=1)
    assert mask.fine.sum() == pytest.approx((x1 - x0) * (y1 - y0) * (2 * scale) ** 2, rel=0.05)


def test_an_empty_mask_is_no_detection():
    assert to_keyframe_mask(mask_from_array(np.zeros((480, 640), bool)), (240, 320)) is None


def test_parts_are_nested_and_neighbours_are_not():
    boxes = [(100, 100, 200, 300), (120, 120, 180, 180), (190, 100, 300, 300)]
    masks = [to_keyframe_mask(box_mask(*box), (240, 320)) for box in boxes]
    assert nested_with(masks, TUNING.detection) == [frozenset({1}), frozenset({0}), frozenset()]


def test_a_phrase_is_taken_back_after_two_keyframes_without_it():
    ball, sphere = PromptMatch(Prompt("ball"), 0.9, 1), PromptMatch(Prompt("sphere"), 0.8, 1)
    again = PromptMatch(Prompt("ball"), 0.7, 2)
    once = merge_matches((ball, sphere), (again,), frozenset(prompts("ball", "sphere")), TUNING.detection)
    assert [(m.prompt.display, m.misses) for m in once] == [("sphere", 1), ("ball", 0)]
    assert [
        m.prompt.display for m in merge_matches(once, (again,), frozenset(prompts("ball", "sphere")), TUNING.detection)
    ] == ["ball"]
    assert len(merge_matches(once, (again,), frozenset(prompts("ball")), TUNING.detection)) == 2  # it was not searched
