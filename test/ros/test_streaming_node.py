"""The streaming benchmark's run through the node: what it counts, and that it gets through."""

from pathlib import Path

import numpy as np
import pytest

from samlite_ros.bench.streaming_clips import pendulum
from samlite_ros.bench.streaming_node import Seen, figures, through_the_node
from samlite_ros.errors import SamliteError
from samlite_ros.messages.fill import segmentation_message
from samlite_ros.node.messages import RCLPY
from samlite_ros.pixels.masks import mask_bounds_xyxy, mask_from_array
from samlite_ros.scenes.hard_sequences import DEVELOPMENT, StreamSequence
from samlite_ros.types import Instance, Prompt, Query, QueryKey, QueryMatch, Segmentation

PERIOD_NS = 33_333_333
START_NS = 1_700_000_000_000_000_000
QUERY = Query(QueryKey("bench", "thing 0"), Prompt("thing 0"), 0)


@pytest.fixture(scope="module")
def truth():
    return pendulum(list(StreamSequence(DEVELOPMENT[0], 0, 4, size=(120, 160))))


def stamp(index):
    return START_NS + index * PERIOD_NS


def answer(truth, index, keyframe, stamp_ns=None):
    """The truth of one frame as the node's message, its masks as old as the keyframe."""
    ids = truth[index % len(truth)].ids
    instances = []
    for thing in np.unique(ids[ids > 0]):
        mask = mask_from_array(ids == thing)
        match = (QueryMatch(QUERY, 0.9),)
        instances.append(Instance(int(thing), match, 0.9, True, stamp(keyframe), mask_bounds_xyxy(mask), mask))
    own = stamp(index) if stamp_ns is None else stamp_ns
    segmentation = Segmentation(own, "camera", "", ids.shape, "oracle", 1, stamp(keyframe), (), tuple(instances))
    return segmentation_message(RCLPY, segmentation)


def seen(truth, arrivals):
    """Ten frames, and answers as (frame, arrival in frames' times after START_NS)."""
    answers = [(START_NS + int(at * PERIOD_NS), answer(truth, index, max(index - 3, 0))) for index, at in arrivals]
    reports = [
        {"images dropped for newer ones": "4", "keyframes": "2"},
        {"images dropped for newer ones": "7", "keyframes": "5"},
    ]
    shown = [i % len(truth) for i in range(10)]
    return Seen([stamp(i) for i in range(10)], shown, 0, answers, reports, cpu_s=0.1)


def test_a_node_that_answers_every_frame_in_its_time(truth):
    row = figures(seen(truth, [(i, i + 0.5) for i in range(10)]), truth)
    assert (row["frames_in"], row["frames_out"], row["answered"]) == (10, 10, 1.0)
    assert (row["age_frames_max"], row["late_frames"], row["foreign"], row["repeated"]) == (0, 0, 0, 0)
    assert row["latency_ms"]["p50"] == pytest.approx(16.7, abs=0.1)
    assert row["knowledge_age_s_max"] == pytest.approx(0.1, abs=1e-3)
    assert (row["dropped"], row["keyframes"], row["cpu_ms_per_frame"]) == (3, 3, pytest.approx(10))
    assert row["rate_out_hz"] == pytest.approx(30, abs=0.1)
    assert row["iou"] == pytest.approx(1)
    documented = (Path(__file__).resolve().parents[2] / "docs/bench_streaming.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in documented for key in row if key != "latency_curve")


def test_frames_left_out_and_late_answers_are_counted(truth):
    row = figures(seen(truth, [(0, 0.5), (1, 3.5), (5, 5.5), (6, 6.2), (9, 9.5)]), truth)
    assert (row["frames_out"], row["answered"]) == (5, 0.5)
    assert row["age_frames_max"] == 3, "when frame 4 is over, frame 1 is what is known"
    assert row["late_frames"] == 6
    assert row["iou"] < 1


def test_answers_of_no_frame_and_repeated_answers_are_counted(truth):
    watched = seen(truth, [(i, i + 0.5) for i in range(10)])
    watched.answers += [(stamp(9), answer(truth, 9, 8)), (stamp(9), answer(truth, 9, 8, stamp_ns=stamp(9) + 7))]
    row = figures(watched, truth)
    assert (row["foreign"], row["repeated"], row["frames_out"]) == (1, 1, 10)


def test_silence_is_an_error(truth):
    with pytest.raises(SamliteError, match="none of 10 frames"):
        figures(seen(truth, []), truth)


def test_through_the_real_node():
    row = through_the_node(0, 126.0, seconds=3.0)
    assert row["frames_in"] >= 60 and row["frames_out"] > 0.2 * row["frames_in"]
    assert row["foreign"] == row["repeated"] == 0
    assert row["knowledge_age_s_max"] <= row["max_mask_age_s"]
    assert row["keyframes"] > 3 and row["iou"] > 0.3
