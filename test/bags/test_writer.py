"""What we write, others read: mcap's own library by the schemas in the file, sqlite3 by its tables."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import pytest
import yaml
from bag_world import SIZE, START_NS, TOPIC, Recording, colour_segmenter
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from samlite_ros.bags.message_types import typestore
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import BagError
from samlite_ros.parameters.table import Parameters
from samlite_ros.pixels.masks import decode_rle
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions

OURS = ("segmentation", "detections", "label_info", "label_image", "confidence", "instance_image", "query_status")


def replayed(recording: Recording, folder: Path, storage: str) -> Path:
    result = ResultOptions(storage=storage, compressed=True, label_images=True, images=True, timeline=False)
    options = ReplayOptions(phrases=("red thing",), parameters=Parameters(propagate=False), result=result)
    replay(recording.path, folder, options, colour_segmenter())
    return folder


def test_mcap_is_decoded_by_its_own_schemas(recording: Recording, tmp_path: Path) -> None:
    """An independent reader that knows none of our types."""
    folder = replayed(recording, tmp_path / "out", "mcap")
    by_topic: dict[str, list] = {}
    with (folder / "messages.mcap").open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        for _, channel, message, decoded in reader.iter_decoded_messages():
            by_topic.setdefault(channel.topic, []).append((message.log_time, decoded))
    assert set(by_topic) == {TOPIC, *(f"/samlite/{name}" for name in OURS)}
    assert len(by_topic["/samlite/segmentation"]) == 10
    log_time_ns, answer = by_topic["/samlite/segmentation"][0]
    assert log_time_ns == START_NS
    assert (answer.model_id, answer.height, answer.width) == ("colours", *SIZE)
    assert answer.instances[0].matches[0].text == "red thing"
    assert decode_rle(answer.instances[0].counts, *SIZE).sum() == 24 * 24
    (_, info), *_ = by_topic["/samlite/label_info"]
    assert [(c.class_id, c.class_name) for c in info.class_map] == [(0, "red thing")]


def test_sqlite_has_the_tables_and_definitions_of_rosbag2(recording: Recording, tmp_path: Path) -> None:
    folder = replayed(recording, tmp_path / "out", "sqlite3")
    with sqlite3.connect(folder / "messages.db3") as connection:
        topics = dict(connection.execute("SELECT name, type FROM topics"))
        definitions = dict(connection.execute("SELECT topic_type, encoded_message_definition FROM message_definitions"))
        (count,) = connection.execute(
            "SELECT count(*) FROM messages JOIN topics ON topics.id = topic_id WHERE name = '/samlite/segmentation'"
        ).fetchone()
    assert topics["/samlite/segmentation"] == "samlite_ros/msg/Segmentation"
    assert "InstanceMask[] instances" in definitions["samlite_ros/msg/Segmentation"]
    assert count == 10


def test_metadata_offers_the_qos_of_the_node(recording: Recording, tmp_path: Path) -> None:
    folder = replayed(recording, tmp_path / "out", "mcap")
    information = yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["relative_file_paths"] == ["messages.mcap"]
    qos = {
        t["topic_metadata"]["name"]: yaml.safe_load(t["topic_metadata"]["offered_qos_profiles"])[0]
        for t in information["topics_with_message_count"]
    }
    reliable, transient_local, volatile = 1, 1, 2  # values of rmw
    assert {q["reliability"] for q in qos.values()} == {reliable}
    assert qos["/samlite/label_info"]["durability"] == transient_local
    assert qos["/samlite/segmentation"]["durability"] == volatile


def installed_hashes() -> list[Path]:
    return [f for p in ("samlite_ros", "vision_msgs") for f in Path(sys.prefix).glob(f"share/{p}/msg/*.json")]


@pytest.mark.skipif(not installed_hashes(), reason="the messages are not installed in this environment")
def test_type_hashes_are_those_of_the_installed_messages() -> None:
    for path in installed_hashes():
        description = json.loads(path.read_text())
        name = description["type_description_msg"]["type_description"]["type_name"]
        wanted = {h["type_name"]: h["hash_string"] for h in description["type_hashes"]}[name]
        assert typestore().hash_rihs01(name) == wanted, name


def test_bag_left_by_an_error_is_whole(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="full"), BagWriter(tmp_path / "out") as bag:
        bag.add_topic(TOPIC, "std_msgs/msg/String")
        raise RuntimeError("disk full")
    assert (tmp_path / "out" / "metadata.yaml").exists()


def test_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(BagError, match="remove it or name another folder"):
        BagWriter(tmp_path / "out")
