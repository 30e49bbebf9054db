"""When a frame is worth the network's time; one row per situation."""

import numpy as np
import pytest
from painted_objects import TUNING

from samlite_ros.streaming.image.work_image import prepare
from samlite_ros.streaming.keyframes import KeyframeReason, KeyframeSchedule
from samlite_ros.types import Frame

S = 1_000_000_000


def image(level=100):
    return prepare(Frame(np.full((48, 64, 3), level, np.uint8), 1), TUNING)


@pytest.mark.parametrize(
    ("period_s", "age_s", "still", "waits", "latency_s", "reason"),
    [
        (0.0, 0.1, False, False, 0.1, KeyframeReason.MOTION),
        (0.5, 0.1, False, False, 0.1, None),
        (0.5, 0.6, False, False, 0.1, KeyframeReason.MOTION),
        (0.0, 0.1, True, False, 0.1, None),
        (0.0, 0.1, True, True, 0.1, KeyframeReason.QUERY),
        (5.0, 0.1, True, True, 0.1, KeyframeReason.QUERY),
        (0.0, 1.5, True, False, 0.1, None),
        (0.0, 1.65, True, False, 0.1, KeyframeReason.REFRESH),
        (0.0, 0.8, True, False, 0.95, KeyframeReason.REFRESH),
    ],
)
def test_reasons(period_s, age_s, still, waits, latency_s, reason):
    schedule = KeyframeSchedule(period_s, 2.0, TUNING)
    assert schedule.due(S, image(), still=False, query_waits=False) is KeyframeReason.FIRST
    schedule.submitted(S, image())
    schedule.delivered(latency_s)
    assert schedule.due(S + int(age_s * S), image(), still, waits) is reason


def test_another_scene_does_not_wait_for_the_period():
    schedule = KeyframeSchedule(5.0, 20.0, TUNING)
    schedule.submitted(S, image(30))
    assert schedule.due(2 * S, image(30), still=False, query_waits=False) is None
    assert schedule.due(2 * S, image(220), still=False, query_waits=False) is KeyframeReason.CUT


def test_after_a_reset_the_next_frame_is_a_first_one():
    schedule = KeyframeSchedule(0.0, 2.0, TUNING)
    schedule.submitted(S, image())
    schedule.reset()
    assert schedule.due(S + 1, image(), still=True, query_waits=False) is KeyframeReason.FIRST
