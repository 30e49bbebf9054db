"""Looking back on the virtual clock: the right stamp, one decode a kept keyframe, the same every time."""

import numpy as np
import pytest
from bag_world import COLOURS, colour_segmenter

from samlite_ros.queries import Asked, Outcome, QueryOptions, QueryRequest
from samlite_ros.replay.script import ask_from_start
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.streaming.ring import Memory
from samlite_ros.types import Frame, QueryKey
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.loop import PublishedAnswer
from samlite_ros.virtual.node import VirtualNode

PERIOD_NS, START_NS = 100_000_000, 1_000_000_000
GONE = 30
"""The red thing is there until this frame; a green one moves all the time."""
PROFILE = LatencyProfile(0.15, 0.02)


def frame(index):
    image = np.full((96, 128, 3), 60, np.uint8)
    image[50:70, 10 + index % 60 : 40 + index % 60] = COLOURS["green"]
    if index < GONE:
        image[10:30, 80:110] = COLOURS["red"]
    return Frame(image, START_NS + index * PERIOD_NS)


def run(after_s, profile=PROFILE, remember_s=20.0, still=False):
    asked_ns = START_NS + GONE * PERIOD_NS + round(after_s * 1e9)
    request = QueryRequest(QueryKey("me", "late"), text="red thing")
    node = VirtualNode(
        colour_segmenter(),
        [""],
        StreamingOptions(propagate=True, recalls=remember_s > 0, keyframe_period_s=0.4 if still else 0.0),
        QueryOptions(),
        [*ask_from_start("test", ("green thing",), START_NS), Asked(asked_ns, (request,))],
        profile,
        memory=Memory(remember_s, 10**9),
    )
    answers = [x for x in node.run(map(frame, range(240 if after_s == 8 else 120))) if isinstance(x, PublishedAnswer)]
    (status,) = [s for s in node.statuses() if s.key.id == "late"]
    return node, status, answers, asked_ns


@pytest.mark.parametrize("still", [True, False], ids=["with idle moments", "never idle"])
@pytest.mark.parametrize("after_s", [1, 3, 8])
def test_a_phrase_is_found_with_the_right_stamp_after_its_thing_has_left(after_s, still):
    node, status, _, asked_ns = run(after_s, still=still)
    last_ns = START_NS + (GONE - 1) * PERIOD_NS
    kept_every_ns = 0.45e9
    assert last_ns - kept_every_ns - 0.2e9 < status.last_seen_ns <= last_ns
    assert status.outcome == Outcome.NOT_FOUND
    keyframes_since = sum(p.stamp_ns >= status.last_seen_ns and p.ends_ns <= asked_ns + 0.5e9 for p in node.passes)
    assert 1 <= node.looks_back <= keyframes_since + 1


@pytest.mark.parametrize("still", [True, False])
def test_nothing_else_is_held_up_by_more_than_its_share(still):
    _, _, with_past, _ = run(1, still=still)
    _, _, without, _ = run(1, remember_s=0.0, still=still)
    assert [a.at_ns for a in with_past] == [a.at_ns for a in without]
    ages = [[a.answer.stamp_ns - a.answer.keyframe_stamp_ns for a in answers[5:]] for answers in (with_past, without)]
    assert np.mean(ages[0]) <= np.mean(ages[1]) * 1.05


def test_what_is_older_than_is_remembered_was_not_seen():
    _, status, _, _ = run(8, remember_s=3.0)
    assert status.last_seen_ns == 0


def test_the_outcome_is_the_same_every_time():
    def content():
        node, status, answers, _ = run(3)
        return status, node.passes, [a.at_ns for a in answers]

    assert content() == content()
