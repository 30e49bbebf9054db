"""Which detection is which thing, and one thing for what several phrases find."""

import numpy as np
import pytest
from learnt_things import TUNING
from prompts import prompts

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.streaming.carry.detections import detections_from, merge_matches, nested_with, to_keyframe_mask
from samlite_ros.streaming.carry.identity import Candidate, match_by_likeness, match_by_overlap, overlaps
from samlite_ros.streaming.carry.tracks import PromptMatch
from samlite_ros.types import Prompt, PromptResult

A, B = frozenset(prompts("a")), frozenset(prompts("b"))
RED, BLUE = np.eye(4096, dtype=np.float32)[[3900, 15]]


def box_mask(x0, y0, x1, y1, size=(480, 640)):
    inside = np.zeros(size, bool)
    inside[y0:y1, x0:x1] = True
    return mask_from_array(inside)


def result(phrase, *entries):
    scores = np.array([score for score, _ in entries], np.float32)
    masks = tuple(box_mask(*box) for _, box in entries)
    return PromptResult(Prompt(phrase), 0.9, scores, np.zeros((len(masks), 4), np.float32), masks)


def test_overlaps_of_all_pairs():
    labels = np.array([1, 1, 1, 2, 2, 0, 0])
    owner = np.array([1, 1, 0, 1, 2, 2, 0])
    assert overlaps(labels, owner, 2, 3) == pytest.approx(np.array([[2 / 4, 0, 0], [1 / 4, 1 / 3, 0]]))


@pytest.mark.parametrize(
    ("overlap", "detections", "tracks", "across", "expected"),
    [
        ([[0.9, 0.0], [0.0, 0.8]], [A, A], [A, A], True, {0: 0, 1: 1}),
        ([[0.5, 0.6], [0.0, 0.6]], [A, A], [A, A], True, {0: 0, 1: 1}),  # the sum counts, not the first best
        ([[0.05, 0.0]], [A], [A, A], True, {}),
        ([[0.2, 0.0]], [A], [B, A], True, {}),  # so little is not enough across phrases
        ([[0.8, 0.0]], [A], [B, A], True, {0: 0}),
        ([[0.8, 0.0]], [A], [B, A], False, {}),
        ([[0.5, 0.45]], [A], [B, A], True, {0: 1}),  # the same phrase is preferred
    ],
)
def test_matching_by_overlap(overlap, detections, tracks, across, expected):
    assert match_by_overlap(np.float32(overlap), detections, tracks, across, TUNING.association) == expected


@pytest.mark.parametrize(
    ("track", "same"),
    [
        (Candidate(A, np.float32([60, 50]), 40, RED), True),
        (Candidate(B, np.float32([60, 50]), 40, RED), False),
        (Candidate(A, np.float32([60, 50]), 40, BLUE), False),
        (Candidate(A, np.float32([200, 50]), 40, RED), False),
        (Candidate(A, np.float32([200, 50]), 40, RED, unseen_s=2.0), False),
        (Candidate(A, np.float32([200, 50]), 40, RED, 1.0, np.float32([40, 50])), True),  # it moved that way
    ],
)
def test_recognising_what_was_out_of_sight(track, same):
    seen = Candidate(A, np.float32([50, 50]), 40, RED)
    assert match_by_likeness([seen], [track], TUNING.reidentification) == ({0: 0} if same else {})


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
