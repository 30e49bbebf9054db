"""The node on a virtual clock: late queries, statuses, and the same answers as a run of one camera."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from bag_world import colour_segmenter, draw_world, stamp_of
from fake_segmenter import FakeSegmenter

from samlite_ros.errors import PhraseTooLongError
from samlite_ros.messages.outputs import AnsweredFrame
from samlite_ros.queries import Asked, QueryOptions, QueryRequest, State
from samlite_ros.replay.script import ask_from_start
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.types import Frame, Prompt, QueryKey, Segmentation
from samlite_ros.virtual.latency import NO_LATENCY, LatencyProfile
from samlite_ros.virtual.loop import PublishedAnswer
from samlite_ros.virtual.node import PublishedStatus, VirtualNode
from samlite_ros.virtual.run import VirtualRun

FRAMES = [Frame(draw_world(i), stamp_of(i)) for i in range(10)]
PHRASES = ("red thing", "green thing")


def run_node(
    profile: LatencyProfile, propagate: bool, asked: Sequence[Asked] = (), segmenter: FakeSegmenter | None = None
) -> tuple[VirtualNode, list[PublishedAnswer], list[PublishedStatus]]:
    start = ask_from_start("test", PHRASES, stamp_of(0))
    node = VirtualNode(
        segmenter or colour_segmenter(),
        [""],
        StreamingOptions(propagate=propagate),
        QueryOptions(),
        [*start, *asked],
        profile,
    )
    published = list(node.run(FRAMES))
    answers = [item for item in published if isinstance(item, PublishedAnswer)]
    return node, answers, [item for item in published if isinstance(item, PublishedStatus)]


def content(answer: Segmentation, at_ns: int) -> tuple:
    instances = [
        (i.track_id, i.propagated, i.keyframe_stamp_ns, round(i.confidence, 6), i.mask.full().tobytes())
        for i in answer.instances
    ]
    return answer.stamp_ns, at_ns, answer.keyframe_stamp_ns, instances


@pytest.mark.parametrize("propagate", [False, True])
@pytest.mark.parametrize(
    "profile", [LatencyProfile(0.1, 0.05), LatencyProfile(0.33, 0.01), LatencyProfile(0.02, 0.005)]
)
def test_one_camera_is_answered_as_by_a_run(propagate: bool, profile: LatencyProfile) -> None:
    _, answers, _ = run_node(profile, propagate)
    vocabulary = AnsweredFrame(answers[0].answer, answers[0].frame).vocabulary
    options = StreamingOptions(propagate=propagate)
    driven = list(VirtualRun(colour_segmenter(), profile, options, vocabulary, charge_s=0.0).run(FRAMES))
    assert [content(a.answer, a.at_ns) for a in answers] == [content(d.answer, d.at_ns) for d in driven]
    assert len(driven) > 2


def ask(at_ns: int, phrase: str) -> Asked:
    return Asked(at_ns, (QueryRequest(QueryKey("planner", phrase), phrase),))


def test_late_query_is_decoded_between_two_blocks_of_a_running_pass() -> None:
    profile = LatencyProfile(0.4, 0.01, blocks=4)  # a block takes 100 ms, the first pass 420 ms
    node, answers, _ = run_node(profile, propagate=True, asked=[ask(stamp_of(5) + 1, "blue thing")])
    late = next(p for p in node.passes if p.late)
    assert late.stamp_ns == stamp_of(0)  # on the embedding of the first pass, while the second is running
    assert (late.begins_ns, late.ends_ns) == (stamp_of(5) + 20_000_000, stamp_of(5) + 30_000_000)
    second = [p for p in node.passes if not p.late][1]
    assert second.ends_ns - second.begins_ns == 430_000_000  # the late phrase delayed it
    first = next(
        a for a in answers if any(i.matches[0].query.prompt.display == "blue thing" for i in a.answer.instances)
    )
    assert first.answer.stamp_ns == stamp_of(6)


def refuse_more_than_two_words(prompt: Prompt) -> None:
    words = len(prompt.text.split())
    if words > 2:
        raise PhraseTooLongError(prompt.text, words, 2)


def test_statuses_are_published_when_they_change() -> None:
    asked = [ask(stamp_of(3), "a very long phrase")]
    narrow = colour_segmenter(refuse=refuse_more_than_two_words)
    _, _, statuses = run_node(NO_LATENCY, propagate=False, asked=asked, segmenter=narrow)
    assert [s.at_ns for s in statuses] == sorted(s.at_ns for s in statuses)
    first = {s.key.id: s.state for s in statuses[0].statuses}
    assert first == {"red thing": State.ACTIVE, "green thing": State.ACTIVE}
    rejected = next(s for p in statuses for s in p.statuses if s.state == State.REJECTED)
    assert "needs 4 tokens" in rejected.message
    assert next(p.at_ns for p in statuses if rejected in p.statuses) == stamp_of(3)


def test_class_ids_and_epoch_travel_with_the_answers() -> None:
    _, answers, _ = run_node(NO_LATENCY, propagate=False, asked=[ask(stamp_of(4), "blue thing")])
    epochs = [a.answer.vocabulary_epoch for a in answers]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) == 2
    told: dict[int, dict[int, str]] = {}  # once for each epoch, from its first answer, as on ~/label_info
    for answer in (a.answer for a in answers):
        meanings = {r.query.class_id: r.query.prompt.display for r in answer.results}
        assert meanings == told.setdefault(answer.vocabulary_epoch, meanings)
    first = ["green thing", "red thing"]
    assert [sorted(names.values()) for names in told.values()] == [first, ["blue thing", *first]]


def test_frames_without_a_question_cost_no_pass() -> None:
    segmenter = colour_segmenter()
    node = VirtualNode(segmenter, [""], StreamingOptions(propagate=False), QueryOptions(), [], NO_LATENCY)
    assert list(node.run(FRAMES)) == []
    assert segmenter.embedded == []
