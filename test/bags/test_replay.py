"""Replay is exact: every frame once, in order, the same every time; what goes wrong is told and the rest is kept."""

from __future__ import annotations

import filecmp
import json
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from bag_world import (
    COLOURS,
    PERIOD_NS,
    START_NS,
    TOPIC,
    Recording,
    colour_segmenter,
    draw_world,
    patches_of,
    stamp_of,
    write_recording,
)
from test_reader import cut, drop_metadata, write_damaged_images

from samlite_ros.bags.message_types import BAG_MESSAGES, QUERY_SET, STRING, TEXT_QUERY
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import RecordedAnswer, ResultBag
from samlite_ros.bags.storage import RawMessage, WholeStorage
from samlite_ros.bags.writer import BagWriter
from samlite_ros.commands.cli import main
from samlite_ros.errors import BagError, ParameterError, SamliteError
from samlite_ros.messages.fill import header_message, image_message
from samlite_ros.parameters.file import read_parameter_file
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions, prepared, replay
from samlite_ros.replay.result_writer import ResultOptions
from samlite_ros.types import Frame, ImageEmbedding, PromptEmbedding
from samlite_ros.virtual.latency import LatencyProfile, parse_profile

PHRASES = ("red thing", "green thing", "yellow thing")
EVERYTHING = ResultOptions(label_images=True, images=True, video=True)


def answers_of(path: Path) -> list[RecordedAnswer]:
    with ResultBag(path) as bag:
        answers = list(bag.answers())
        assert not bag.reader.faults
    return answers


def keyframes_only(**more: object) -> ReplayOptions:
    values: dict = {
        "phrases": PHRASES,
        "parameters": Parameters(propagate=False),
        "result": ResultOptions(timeline=False),
        **more,
    }
    return ReplayOptions(**values)


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
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_two_runs_give_identical_bytes(recording: Recording, tmp_path: Path, propagate: bool, storage: str) -> None:
    result = ResultOptions(storage=storage, compressed=True, label_images=True, images=True)
    options = keyframes_only(
        parameters=Parameters(propagate=propagate), profile=LatencyProfile(0.1, 0.02), result=result
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


SCRIPT = """
- {at: 0, id: a, text: red thing}
- {at: 0.3, id: a, text: blue thing}
- {at: 0.6, action: remove, id: a}
- {at: 0.6, client: other, text: green thing, lifetime: 0.2}
"""


def phrases_by_frame(answers: Sequence[RecordedAnswer]) -> list[list[str]]:
    return [[r.query.prompt.display for r in a.segmentation.results] for a in answers]


def test_script_adds_replaces_removes_and_expires(recording: Recording, tmp_path: Path) -> None:
    (tmp_path / "queries.yaml").write_text(SCRIPT)
    options = keyframes_only(phrases=(), script=tmp_path / "queries.yaml")
    outcome = replay(recording.path, tmp_path / "out", options, colour_segmenter())
    want = [["red thing"]] * 3 + [["blue thing"]] * 3 + [["green thing"]] * 2
    assert phrases_by_frame(answers_of(tmp_path / "out")) == want  # frames 8 and 9: nothing is asked any more
    assert [q["state"] for q in outcome.summary["queries"]] == ["REMOVED", "EXPIRED"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {at: 1, txt: red}", "entry 1: unknown key txt"),
        ("- {text: red}\n- {5: red}", "entry 2: unknown key 5"),
        ("- {at: soon, text: red}", "at must be a number, got 'soon'"),
        ("- {at: true, text: red}", "at must be a number, got True"),
        ("- {at: .nan, text: red}", "at must be a number, got nan"),
        ("- {at: .inf, text: red}", "at must be a number, got inf"),
        ("- {at: -1, text: red}", "at must be a time of 0 to 2147483647 s, got -1"),
        ("- {lifetime: 1.0e+30, text: red}", "lifetime must be a time"),
        ("- {action: forget, text: red}", "action must be one of add, replace, remove, clear, got 'forget'"),
        ("- {action: [add], text: red}", "action must be one of"),
        ("- {text: 7}", "text must be a text, got 7"),
        ("- {text: null}", "text must be a text, got None"),
        ("- {client: [a], text: red}", "client must be a text"),
        ("- {client: null, text: red}", "client must be a text"),
        ("- {id: true, text: red}", "id must be a text"),
        ("- {cameras: 5, text: red}", "cameras must be a list of texts"),
        ("- {cameras: [1], text: red}", "cameras must be a list of texts"),
        ("- {cameras: null, text: red}", "cameras must be a list of texts"),
        ("- {text: red, score_threshold: high}", "score_threshold must be a number"),
        ("- {text: red, mask_threshold: .nan}", "mask_threshold must be a number"),
        ("- {text: red, max_rate: .inf}", "max_rate must be a number"),
        ("- {text: red, max_instances: true}", "max_instances must be an integer from 0 to 65535"),
        ("- {text: red, max_instances: -1}", "max_instances must be an integer from 0 to 65535"),
        ("- {text: red, priority: 128}", "priority must be an integer from -128 to 127"),
        ("- red", "expected keys and values"),
        ("- ", "expected keys and values, got None"),
        ("red", "expected a list of entries"),
        ("", "expected a list of entries"),
        ("[", "queries.yaml: while parsing"),
        ("\x00", "queries.yaml: unacceptable character"),
    ],
)
def test_wrong_script_is_refused(recording: Recording, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "queries.yaml").write_text(text)
    options = keyframes_only(script=tmp_path / "queries.yaml")
    with pytest.raises(ParameterError, match=words) as refused:
        replay(recording.path, tmp_path / "out", options, colour_segmenter())
    assert "\n" not in str(refused.value)


def test_script_of_other_bytes_is_refused(recording: Recording, tmp_path: Path) -> None:
    (tmp_path / "queries.yaml").write_bytes(b"\xff\xfe- a")
    with pytest.raises(ParameterError, match=r"queries.yaml: 'utf-8' codec"):
        replay(recording.path, tmp_path / "out", keyframes_only(script=tmp_path / "queries.yaml"), colour_segmenter())


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


def test_queries_are_taken_from_the_bag(tmp_path: Path) -> None:
    def query(client: str, text: str, action: int = 0) -> object:
        new = BAG_MESSAGES.new
        return new(
            TEXT_QUERY,
            header=header_message(BAG_MESSAGES, 0, ""),
            client=client,
            id="1",
            action=action,
            text=text,
            score_threshold=0.0,
            mask_threshold=0.0,
            max_instances=0,
            lifetime=new("builtin_interfaces/msg/Duration", sec=0, nanosec=0),
            max_rate=0.0,
            priority=0,
            cameras=[],
            exemplars=[],
        )

    with BagWriter(tmp_path / "in") as bag:
        for topic, kind in ((TOPIC, "sensor_msgs/msg/Image"), ("/q", TEXT_QUERY), ("/set", QUERY_SET)):
            bag.add_topic(topic, kind)
        bag.add_topic("/query_text", STRING)
        log_offset_ns = 40 * PERIOD_NS  # the recorder's clock is another one than the camera's
        asked = {
            1: [("/q", query("a", "red thing"))],
            4: [("/q", query("a", "", action=1)), ("/query_text", BAG_MESSAGES.new(STRING, data="blue thing,"))],
            7: [("/set", BAG_MESSAGES.new(QUERY_SET, header=header_message(BAG_MESSAGES, 0, ""), client="text",
                                          queries=[query("text", "green thing")]))],
        }  # fmt: skip
        for index in range(10):
            log_time_ns = stamp_of(index) + log_offset_ns
            bag.write(TOPIC, log_time_ns, image_message(BAG_MESSAGES, draw_world(index), "rgb8", stamp_of(index), ""))
            for topic, message in asked.get(index, []):
                bag.write(topic, log_time_ns + 1_000_000, message)
    options = keyframes_only(phrases=(), queries_from_bag=True)
    outcome = replay(tmp_path / "in", tmp_path / "out", options, colour_segmenter())
    assert not outcome.faults
    want = [["red thing"]] * 4 + [["blue thing"]] * 3 + [["green thing"]] * 2
    # Whoever asks after a frame that nobody wanted to see still gets it answered: four times red.
    assert phrases_by_frame(answers_of(tmp_path / "out")) == want


def test_recorded_texts_replace_no_query_of_another_client(tmp_path: Path) -> None:
    """As in the node: `~/query_text` speaks for its own client; the parameter's and the command's queries stay."""
    with BagWriter(tmp_path / "in") as bag:
        bag.add_topic(TOPIC, "sensor_msgs/msg/Image")
        bag.add_topic("/samlite/query_text", STRING)
        for index in range(6):
            bag.write(
                TOPIC, stamp_of(index), image_message(BAG_MESSAGES, draw_world(index), "rgb8", stamp_of(index), "")
            )
        bag.write("/samlite/query_text", stamp_of(2) + 1, BAG_MESSAGES.new(STRING, data="blue thing, , "))
    parameters = Parameters(propagate=False, queries=("red thing",))
    options = keyframes_only(phrases=("green thing", " "), parameters=parameters, queries_from_bag=True)
    replay(tmp_path / "in", tmp_path / "out", options, colour_segmenter())
    asked = [
        {(r.query.key.client, r.query.prompt.display) for r in a.segmentation.results}
        for a in answers_of(tmp_path / "out")
    ]
    standing = {("parameters", "red thing"), ("command", "green thing")}
    assert asked == [standing] * 3 + [standing | {("text", "blue thing")}] * 3


def test_bag_without_queries_is_refused(recording: Recording, tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no recorded queries"):
        replay(recording.path, tmp_path / "out", keyframes_only(queries_from_bag=True), colour_segmenter())


def test_nothing_to_search_for_is_refused(recording: Recording, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="nothing to search for"):
        replay(recording.path, tmp_path / "out", keyframes_only(phrases=()), colour_segmenter())


def test_results_are_not_overwritten(recording: Recording, tmp_path: Path) -> None:
    replay(recording.path, tmp_path / "out", keyframes_only(), colour_segmenter())
    with pytest.raises(BagError, match="holds a bag already"):
        replay(recording.path, tmp_path / "out", keyframes_only(), colour_segmenter())


def damage_cut(path: Path) -> None:
    write_recording(path, frames=60)
    cut(path)


def damage_metadata(path: Path) -> None:
    write_recording(path, frames=60, storage="sqlite3")
    drop_metadata(path)


def damage_order(path: Path) -> None:
    write_recording(path, frames=60, order=[*range(1, 60), 0])


@pytest.mark.parametrize(
    ("make", "least_answers", "words"),
    [
        (damage_cut, 20, "ends in the middle"),
        (damage_metadata, 60, "metadata.yaml is missing"),
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


def test_rejected_query_is_a_fault(recording: Recording, tmp_path: Path) -> None:
    outcome = replay(
        recording.path, tmp_path / "out", keyframes_only(phrases=("red thing", "x" * 2000)), colour_segmenter()
    )
    assert len(answers_of(tmp_path / "out")) == 10
    assert any("was rejected: text has 2000 characters" in fault for fault in outcome.faults)


def test_original_images_are_copied(recording: Recording, tmp_path: Path) -> None:
    replay(recording.path, tmp_path / "out", keyframes_only(result=EVERYTHING), colour_segmenter())
    with BagReader(recording.path) as before, BagReader(tmp_path / "out") as after:
        assert [m.data for m in after.messages([TOPIC])] == [m.data for m in before.messages([TOPIC])]


@pytest.mark.parametrize(
    ("text", "encode_s", "decode_s"),
    [("orin-nx", 0.608, 0.342), ("thor", 0.08064, 0.04536), ("100", 0.064, 0.036), ("80,20", 0.08, 0.02), ("0", 0, 0)],
)
def test_latency_profiles(text: str, encode_s: float, decode_s: float) -> None:
    profile = parse_profile(text)
    assert (profile.encode_s, profile.decode_s) == pytest.approx((encode_s, decode_s))


@pytest.mark.parametrize("text", ["fast", "-1", "1,2,3", "", "nan", "inf", "1e9", "10,nan", "1,"])
def test_wrong_latency_profile_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="latency"):
        parse_profile(text)


def test_parameter_file_is_that_of_the_node(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(
        "/**:\n  ros__parameters:\n    max_mask_age: 3\nsamlite:\n  ros__parameters:\n    propagate: true\n"
    )
    parameters = read_parameter_file(path)
    assert (parameters.max_mask_age, parameters.propagate) == (3.0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("other_node: {}", "no section"),
        ("", "no section"),
        ("- a", "no section"),
        ("{", "parameters .*params.yaml: while parsing"),
        ("samlite: 5", "no ros__parameters"),
        ("samlite: {ros__parameters: 5}", "no ros__parameters"),
        ("samlite: {ros__parameters: {max_mask_agee: 3}}", "no parameter max_mask_agee, did you mean max_mask_age?"),
        ("samlite: {ros__parameters: {zzz: 3}}", "no parameter zzz: model, device"),
        ("samlite: {ros__parameters: {max_mask_age: -1}}", "params.yaml: max_mask_age must be at least 0 s"),
        ("samlite: {ros__parameters: {queries: [1]}}", "params.yaml: queries must be a list of texts"),
    ],
)
def test_wrong_parameter_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParameterError, match=words):
        read_parameter_file(tmp_path / "params.yaml")


@pytest.mark.parametrize("name", ["/**", "samlite", "/samlite", "/robot/samlite", "/**/samlite"])
def test_parameters_of_every_node_are_known_and_mean_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "params.yaml").write_text(
        f"{name}:\n  ros__parameters:\n    use_sim_time: true\n    max_queries: 7\n"
        "    qos_overrides./image.subscription.depth: 2\n"
    )
    assert read_parameter_file(tmp_path / "params.yaml").max_queries == 7


@pytest.fixture
def colours_for_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command loads the segmenter of the tests."""
    monkeypatch.setattr("samlite_ros.segmenter.load.load_segmenter", lambda options: colour_segmenter())


@pytest.mark.usefixtures("colours_for_a_network")
def test_command_replays_and_tells(recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "replay",
        str(recording.path),
        "--image-topic",
        TOPIC,
        "--query",
        "red thing",
        "-o",
        str(tmp_path / "out"),
    ]
    assert main([*arguments, "--overlay-video"]) == 0
    assert "10 answers to 10 frames" in capsys.readouterr().out
    assert {"messages.mcap", "metadata.yaml", "overlay.mp4", "summary.json", "timeline.png"} == {
        p.name for p in (tmp_path / "out").iterdir()
    }
    assert main(arguments) == 1
    assert "holds a bag already" in capsys.readouterr().err


@pytest.mark.usefixtures("colours_for_a_network")
@pytest.mark.parametrize(
    ("make", "words"),
    [(damage_cut, "ends in the middle"), (write_damaged_images, "rgb77"), (damage_order, "newer stamp")],
)
def test_command_fails_on_a_bad_bag_and_keeps_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "in")
    assert main(["replay", str(tmp_path / "in"), "--query", "red thing", "-o", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert answers_of(tmp_path / "out")


def test_command_that_is_cancelled_keeps_the_results_so_far(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cancel_at_the_fifth_frame(frame: Frame) -> Frame:
        if len(segmenter.embedded) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return frame

    segmenter = colour_segmenter(keep=cancel_at_the_fifth_frame)
    monkeypatch.setattr("samlite_ros.segmenter.load.load_segmenter", lambda options: segmenter)
    handler = signal.getsignal(signal.SIGTERM)
    assert main(["replay", str(recording.path), "--query", "red thing", "-o", str(tmp_path / "out")]) == 1
    assert "fault: interrupted after 4 of 10 frames" in capsys.readouterr().err
    assert len(answers_of(tmp_path / "out")) == 4
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.mark.usefixtures("colours_for_a_network")
def test_command_carries_masks_only_when_asked_or_late(recording: Recording, tmp_path: Path) -> None:
    def carried(name: str, *more: str) -> bool:
        arguments = ["replay", str(recording.path), "--query", "red thing", "-o", str(tmp_path / name), *more]
        assert main(arguments) == 0
        return any(i.propagated for a in answers_of(tmp_path / name) for i in a.segmentation.instances)

    assert not carried("exact")
    assert carried("asked", "--propagate")
    assert not carried("late", "--latency", "200", "--no-propagate")
