"""Queries of a replay: from a script, from the bag, and none at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from bag_world import (
    PERIOD_NS,
    TOPIC,
    Recording,
    colour_segmenter,
    draw_world,
    stamp_of,
)
from replays import answers_of, keyframes_only

from samlite_ros.bags.message_types import BAG_MESSAGES, QUERY_SET, STRING, TEXT_QUERY
from samlite_ros.bags.results import RecordedAnswer
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import BagError, ParameterError
from samlite_ros.messages.fill import header_message, image_message
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import replay

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


def test_rejected_query_is_a_fault(recording: Recording, tmp_path: Path) -> None:
    outcome = replay(
        recording.path, tmp_path / "out", keyframes_only(phrases=("red thing", "x" * 2000)), colour_segmenter()
    )
    assert len(answers_of(tmp_path / "out")) == 10
    assert any("was rejected: text has 2000 characters" in fault for fault in outcome.faults)
