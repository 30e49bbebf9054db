"""What rigid carrying could reach at best."""

import cv2
import numpy as np
import pytest

from samlite_ros.evaluation.measures.rigid_bound import rigid_bound

SIZE = (240, 320)


def ellipse(center, axes, angle_deg=0.0):
    drawn = np.zeros(SIZE, np.uint8)
    cv2.ellipse(drawn, (center, axes, angle_deg), 1, -1)
    return drawn > 0


def test_an_affine_motion_is_undone():
    before = ellipse((100, 100), (90, 60))
    assert rigid_bound(before, before) > 0.99
    for after in (ellipse((200, 140), (90, 60)), ellipse((180, 120), (130, 90)), ellipse((110, 100), (90, 60), 20)):
        assert rigid_bound(before, after) > 0.93


def test_bending_stays():
    before, after = ellipse((100, 100), (90, 60)), ellipse((100, 100), (90, 60))
    after |= ellipse((140, 140), (30, 120))
    assert 0.4 < rigid_bound(before, after) < 0.85


@pytest.mark.parametrize("empty", [0, 1])
def test_what_the_keyframe_does_not_show_nobody_can_carry(empty):
    masks = [ellipse((100, 100), (90, 60)), np.zeros(SIZE, bool)]
    assert rigid_bound(masks[empty], masks[1 - empty]) == 0
