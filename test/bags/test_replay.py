"""Replay is exact: every frame once, in order, the same every time; what goes wrong is told and the rest is kept."""

from __future__ import annotations

import filecmp
import json
import resource
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import pytest
from bag_world import (
    COLOURS,
    START_NS,
    TOPIC,
    Recording,
    colour_segmenter,
    draw_world,
    patches_of,
    stamp_of,
    write_recording,
)
from replays import answers_of, damage_cut, damage_order, keyframes_only
from test_reader import write_damaged_images

from samlite_ros.bags.message_types import BAG_MESSAGES, STRING
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import ResultBag
from samlite_ros.bags.storage import RawMessage, WholeStorage
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import BagError, ParameterError, SamliteError
from samlite_ros.messages.fill import image_message
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions, prepared, replay
from samlite_ros.replay.result_writer import ResultOptions
from samlite_ros.segmenter.contract import ImageEmbedding, PromptEmbedding
from samlite_ros.virtual.latency import LatencyProfile

EVERYTHING = ResultOptions(label_images=True, images=True, video=True)


def test_every_frame_is_answered_once_with_its_own_stamp(recording: Recording, tmp_path: Path) -> None:
    outcome = replay(recording.path, tmp_path / "out", keyframes_only(), colour_segmenter())
    answers = answers_of(tmp_path / "out")
    assert [a.segmentation.stamp_ns for a in answers] == [stamp_of(i) for i in range(10)]
    assert {a.segmentation.frame_id for a in answers} == {f"frame_of{TOPIC}"}
    for index, answer in enumerate(answers):
        red = [i.mask.full() for i in answer.segmentation.instances if i.matches[0].query.prompt.display == "red thing"]
        assert len(red) == 1
        assert np.array_equal(red[0], patches_of(draw_world(index), COLOURS["red"])[0].full())
    assert not outcome.faults
    assert outcome.summary["phrases"]["green thing"] == {
        "answers": 10,
        "seen_in": 5,
        "most_at_once": 1,
        "first_seen_s": 0.5,
        "last_seen_s": 0.9,
    }
    assert [q["outcome"] for q in outcome.summary["queries"]] == ["FOUND", "FOUND", "NOT_FOUND"]


@pytest.mark.parametrize("propagate", [False, True])
@pytest.mark.parametrize(("latency_s", "behind"), [(0.0, 0), (0.1, 2), (0.37, 8)])
def test_the_summary_tells_of_queries_how_they_stand_at_the_end(
    tmp_path: Path, latency_s: float, behind: int, propagate: bool
) -> None:
    """Statuses are published where something turns, which may be long before the end."""
    write_recording(tmp_path / "in", frames=24)
    options = keyframes_only(profile=LatencyProfile(latency_s, 0.0), parameters=Parameters(propagate=propagate))
    summary = replay(tmp_path / "in", tmp_path / "out", options, colour_segmenter()).summary
    red, green, yellow = summary["queries"]
    last_ns = summary["first_stamp_ns"] + round(summary["phrases"]["red thing"]["last_seen_s"] * 1e9)
    for query in (red, green):
        told_ns = summary["first_stamp_ns"] + round(summary["phrases"][query["text"]]["last_seen_s"] * 1e9)
        assert query["last_seen_ns"] == told_ns
    assert stamp_of(23 - behind - propagate) <= last_ns <= stamp_of(23)
    assert (yellow["last_seen_ns"], summary["phrases"]["yellow thing"]["last_seen_s"]) == (0, None)


@pytest.mark.parametrize("propagate", [False, True])
@pytest.mark.parametrize(
    ("storage", "more"),
    [("mcap", {}), ("sqlite3", {}), ("mcap", {"decode_budget": 20.0, "remember_s": 5.0})],
    ids=["mcap", "sqlite3", "turns"],
)
def test_two_runs_give_identical_bytes(
    recording: Recording, tmp_path: Path, propagate: bool, storage: str, more: dict
) -> None:
    result = ResultOptions(storage=storage, compressed=True, label_images=True, images=True)
    options = keyframes_only(
        parameters=Parameters(propagate=propagate, **more), profile=LatencyProfile(0.1, 0.02), result=result
    )
    for name in ("first", "second"):
        replay(recording.path, tmp_path / name, options, colour_segmenter())
    names = sorted(p.name for p in (tmp_path / "first").iterdir())
    assert len(names) == 4  # messages, metadata, summary, timeline
    same, different, missing = filecmp.cmpfiles(tmp_path / "first", tmp_path / "second", names, shallow=False)
    assert sorted(same) == names, (different, missing)


def test_several_cameras_share_the_network_in_turn(tmp_path: Path) -> None:
    write_recording(tmp_path / "in", frames=12, topics=("/left/image", "/right/image"))
    options = keyframes_only(
        image_topics=("left=/left/image", "right=/right/image"), profile=LatencyProfile(0.15, 0.0), result=EVERYTHING
    )
    outcome = replay(tmp_path / "in", tmp_path / "out", options, colour_segmenter())
    answers = answers_of(tmp_path / "out")
    assert [a.segmentation.camera for a in answers][:6] == ["left", "right"] * 3
    assert [(a.published_ns - START_NS) // 1_000_000 for a in answers][:3] == [150, 300, 450]
    assert outcome.summary["cameras"]["left"]["answers"] == sum(a.segmentation.camera == "left" for a in answers)
    with BagReader(tmp_path / "out") as reader:
        assert {"/samlite/left/segmentation", "/samlite/right/label_image", "/left/image"} <= set(reader.topics)
    assert (tmp_path / "out" / "overlay_left.mp4").stat().st_size > 0
    assert (tmp_path / "out" / "timeline.png").stat().st_size > 0


def test_latency_delays_answers_on_the_virtual_clock(recording: Recording, tmp_path: Path) -> None:
    options = keyframes_only(profile=LatencyProfile(0.1, 0.05))  # 250 ms for three phrases
    replay(recording.path, tmp_path / "out", options, colour_segmenter())
    seen = [(a.segmentation.stamp_ns - START_NS, a.published_ns - START_NS) for a in answers_of(tmp_path / "out")]
    assert seen == [
        (0, 250_000_000),
        (200_000_000, 500_000_000),
        (400_000_000, 750_000_000),
        (700_000_000, 1_000_000_000),
    ]


def test_carried_masks_answer_every_frame_at_its_own_time(recording: Recording, tmp_path: Path) -> None:
    options = keyframes_only(parameters=Parameters(propagate=True), profile=LatencyProfile(0.1, 0.05))
    outcome = replay(recording.path, tmp_path / "out", options, colour_segmenter())
    answers = answers_of(tmp_path / "out")
    assert [a.segmentation.stamp_ns for a in answers] == [stamp_of(i) for i in range(10)]
    assert all(a.published_ns == a.segmentation.stamp_ns for a in answers)
    assert any(i.propagated for a in answers for i in a.segmentation.instances)
    assert outcome.summary["age_ms"]["max"] > 200


def test_what_is_wrong_is_found_before_the_network_is_loaded(recording: Recording, tmp_path: Path) -> None:
    def prepare(folder: Path, options: ReplayOptions) -> None:
        with prepared(recording.path, folder, options):
            pytest.fail("a network would be loaded")

    (tmp_path / "queries.yaml").write_text("- red")
    with pytest.raises(ParameterError, match="expected keys and values"):
        prepare(tmp_path / "out", keyframes_only(script=tmp_path / "queries.yaml"))
    with pytest.raises(BagError, match="no recorded queries"):
        prepare(tmp_path / "out", keyframes_only(queries_from_bag=True))
    with pytest.raises(ParameterError, match="nothing to search for"):
        prepare(tmp_path / "out", keyframes_only(phrases=()))
    (tmp_path / "messages.mcap").write_text("of somebody else")
    with pytest.raises(BagError, match="holds a bag already"):
        prepare(tmp_path, keyframes_only())


def test_a_bag_is_opened_once_and_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the order of its images, with the queries, and for the frames."""
    with BagWriter(tmp_path / "in") as bag:
        bag.add_topic(TOPIC, "sensor_msgs/msg/Image")
        bag.add_topic("/query_text", STRING)
        for index in range(6):
            image = image_message(BAG_MESSAGES, draw_world(index), "rgb8", stamp_of(index), "")
            bag.write(TOPIC, stamp_of(index), image)
        bag.write("/query_text", stamp_of(2) + 1, BAG_MESSAGES.new(STRING, data="blue thing"))
    opened, read = [], Counter()
    whole_init, whole_messages = WholeStorage.__init__, WholeStorage.messages

    def note_opening(self: WholeStorage, path: Path) -> None:
        opened.append(path)
        whole_init(self, path)

    def note_reading(self: WholeStorage, topics: Collection[str]) -> Iterator[RawMessage]:
        for message in whole_messages(self, topics):
            read[message.topic] += 1
            yield message

    monkeypatch.setattr(WholeStorage, "__init__", note_opening)
    monkeypatch.setattr(WholeStorage, "messages", note_reading)
    replay(tmp_path / "in", tmp_path / "out", keyframes_only(queries_from_bag=True), colour_segmenter())
    assert (len(opened), read) == (1, {TOPIC: 2 * 6, "/query_text": 1})


def test_results_are_not_overwritten(recording: Recording, tmp_path: Path) -> None:
    replay(recording.path, tmp_path / "out", keyframes_only(), colour_segmenter())
    with pytest.raises(BagError, match="holds a bag already"):
        replay(recording.path, tmp_path / "out", keyframes_only(), colour_segmenter())


@pytest.mark.parametrize(
    ("make", "least_answers", "words"),
    [
        (damage_cut, 20, "ends in the middle"),
        (damage_order, 60, "recorded after one with a newer stamp"),
        (write_damaged_images, 2, "rgb77"),
    ],
)
def test_bad_bag_keeps_its_results(
    tmp_path: Path, make: Callable[[Path], object], least_answers: int, words: str
) -> None:
    make(tmp_path / "in")
    outcome = replay(tmp_path / "in", tmp_path / "out", keyframes_only(phrases=("red thing",)), colour_segmenter())
    stamps = [a.segmentation.stamp_ns for a in answers_of(tmp_path / "out")]
    assert stamps == sorted(set(stamps))
    assert len(stamps) >= least_answers
    assert any(words in fault for fault in outcome.faults)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["faults"] == list(outcome.faults)


def test_failure_of_the_network_keeps_the_results_so_far(recording: Recording, tmp_path: Path) -> None:
    def fail_at_the_fifth_frame(image: ImageEmbedding, prompts: PromptEmbedding) -> None:
        if len(segmenter.embedded) == 5:
            raise SamliteError("the network is tired")

    segmenter = colour_segmenter()
    segmenter.at_segment = fail_at_the_fifth_frame
    outcome = replay(recording.path, tmp_path / "out", keyframes_only(), segmenter)
    assert len(answers_of(tmp_path / "out")) == 4
    assert outcome.faults == ("ended after 4 of 10 frames: the network is tired",)


def test_interrupt_keeps_the_results_so_far(recording: Recording, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    outcome = replay(recording.path, tmp_path / "out", keyframes_only(), colour_segmenter(), interrupt)
    assert len(answers_of(tmp_path / "out")) == 4
    assert outcome.faults == ("interrupted after 4 of 10 frames",)


def test_full_disk_keeps_the_results_so_far(tmp_path: Path) -> None:
    """No file may be longer than 3 MB here: the answers in the chunks before count, and nothing is raised."""
    write_recording(tmp_path / "in", frames=200)
    options = keyframes_only(result=ResultOptions(timeline=False, images=True))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))
        outcome = replay(tmp_path / "in", tmp_path / "out", options, colour_segmenter())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert any("File too large" in fault for fault in outcome.faults)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["faults"]
    with ResultBag(tmp_path / "out") as bag:
        stamps = [a.segmentation.stamp_ns for a in bag.answers()]
    assert stamps == [stamp_of(i) for i in range(len(stamps))]
    assert 20 < len(stamps) < 200


def test_original_images_are_copied(recording: Recording, tmp_path: Path) -> None:
    replay(recording.path, tmp_path / "out", keyframes_only(result=EVERYTHING), colour_segmenter())
    with BagReader(recording.path) as before, BagReader(tmp_path / "out") as after:
        assert [m.data for m in after.messages([TOPIC])] == [m.data for m in before.messages([TOPIC])]
