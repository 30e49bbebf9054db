"""Which detection is which object: by overlap, and by appearance where it was out of sight."""

import numpy as np
import pytest
from painted_objects import TUNING
from prompts import prompts

from samlite_ros.streaming.carry.association import Candidate, match_by_appearance, match_by_overlap, overlaps

A, B = frozenset(prompts("a")), frozenset(prompts("b"))
RED, BLUE = np.eye(4096, dtype=np.float32)[[3900, 15]]


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
def test_re_identifying_what_was_out_of_sight(track, same):
    seen = Candidate(A, np.float32([50, 50]), 40, RED)
    assert match_by_appearance([seen], [track], TUNING.reidentification) == ({0: 0} if same else {})
