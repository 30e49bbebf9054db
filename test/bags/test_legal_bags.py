"""Recordings that are whole, but not as `ros2 bag record` leaves them: read to the last frame, and no fault is said."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bag_world import SIZE, TOPIC, draw_world, stamp_of, write_recording
from mcap.writer import IndexType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from samlite_ros.bags.frames import choose_image_topics, read_frames
from samlite_ros.bags.index import index_bag
from samlite_ros.bags.mcap_layout import index_of_mcap
from samlite_ros.bags.message_types import (
    BAG_MESSAGES,
    COMPRESSED_IMAGE,
    IMAGE,
    SEGMENTATION,
    STRING,
    serialize,
    typestore,
)
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import ResultBag
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import BagError
from samlite_ros.messages.fill import image_message

FRAMES = 12


def read_indices(path: Path) -> tuple[list[int], tuple[str, ...]]:
    """Which frames are read, each as it was written; and the faults."""
    with BagReader(path) as reader:
        cameras = choose_image_topics(reader, [])
        assert sum(reader.topics[topic].message_count for topic in cameras) == FRAMES
        frames = [f.frame for f in read_frames(reader, index_bag(reader, list(cameras)), cameras) if f.frame]
        indices = [(f.stamp_ns - stamp_of(0)) // (stamp_of(1) - stamp_of(0)) for f in frames]
        assert all(np.array_equal(f.image, draw_world(i)) for f, i in zip(frames, indices, strict=True))
        return indices, reader.faults


def edit(pattern: str, replacement: str) -> Callable[[Path], None]:
    """Change every place of metadata.yaml that matches."""

    def change(folder: Path) -> None:
        path = folder / "metadata.yaml"
        text, count = re.subn(pattern, replacement, path.read_text(), flags=re.DOTALL)
        assert count
        path.write_text(text)

    return change


EDITS = {
    "qos as text": edit(r"offered_qos_profiles:.*?(?=\n\s+type_description_hash)", "offered_qos_profiles: reliable"),
    "qos empty": edit(r"offered_qos_profiles:.*?(?=\n\s+type_description_hash)", "offered_qos_profiles: ''"),
    "qos of another recorder": edit(
        r"offered_qos_profiles:.*?(?=\n\s+type_description_hash)", "offered_qos_profiles: [{depth: many}]"
    ),
    "counts of zero": edit(r"message_count: \d+", "message_count: 0"),
    "counts too high": edit(r"message_count: \d+", "message_count: 999"),
    "no files": edit(r"relative_file_paths:\n(\s+- [^\n]+\n)+", "relative_file_paths: []\n"),
    "no topics": edit(r"topics_with_message_count:.*?(?=\n  \w)", "topics_with_message_count: []"),
    "other version": edit(r"version: \d+", "version: 42"),
    "other storage": edit(r"storage_identifier: \w+", "storage_identifier: acme"),
    "empty": edit(r".*", ""),
    "no yaml": edit(r".+", "{"),
    "with a byte order mark": edit(r"^", "\ufeff"),
    "of another type": edit(r"type: sensor_msgs/msg/Image", "type: acme_msgs/msg/Photo"),
    "of another encoding": edit(r"serialization_format: cdr", "serialization_format: protobuf"),
}


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_metadata_that_was_edited_does_not_matter(tmp_path: Path, storage: str, change: Callable) -> None:
    write_recording(tmp_path / "bag", FRAMES, storage)
    change(tmp_path / "bag")
    assert read_indices(tmp_path / "bag") == (list(range(FRAMES)), ())


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_files_that_are_not_listed_are_read_and_listed_ones_that_are_missing_are_named(
    tmp_path: Path, storage: str
) -> None:
    for part in range(2):
        with BagWriter(tmp_path / f"part{part}", storage) as bag:
            bag.add_topic(TOPIC, IMAGE)
            for i in range(part * 6, part * 6 + 6):
                bag.write(TOPIC, stamp_of(i), image_message(BAG_MESSAGES, draw_world(i), "rgb8", stamp_of(i), ""))
    folder = tmp_path / "part0"
    suffix = {"mcap": ".mcap", "sqlite3": ".db3"}[storage]
    shutil.copy(tmp_path / "part1" / f"messages{suffix}", folder / f"messages_1{suffix}")
    assert read_indices(folder) == (list(range(FRAMES)), ())
    edit(r"(\s+)- messages\.(\w+)", r"\1- messages.\2\1- messages_1.\2\1- messages_2.\2")(folder)
    indices, faults = read_indices(folder)
    assert indices == list(range(FRAMES))
    assert faults == (f"{folder}: messages_2{suffix} is missing, which metadata.yaml lists",)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_folder_without_metadata_is_no_fault_unless_a_number_is_left_out(tmp_path: Path, storage: str) -> None:
    folder, suffix = tmp_path / "drive", {"mcap": ".mcap", "sqlite3": ".db3"}[storage]
    folder.mkdir()
    for part in range(3):
        write_recording(tmp_path / f"part{part}", storage=storage, order=range(4 * part, 4 * part + 4))
        shutil.copy(tmp_path / f"part{part}" / f"messages{suffix}", folder / f"drive_{part + 9}{suffix}")
    assert read_indices(folder) == (list(range(12)), ())
    (folder / f"drive_10{suffix}").unlink()
    with BagReader(folder) as reader:
        assert reader.topics[TOPIC].message_count == 8
        assert reader.faults == (f"{folder}: drive_10{suffix} is missing, by the numbers of the other files",)


def test_what_play_unpacked_beside_the_packed_file_is_not_read_twice(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(CompressionMode.FILE, CompressionFormat.ZSTD)
    with writer:
        images = writer.add_connection(TOPIC, IMAGE, typestore=typestore())
        for i in range(FRAMES):
            message = image_message(BAG_MESSAGES, draw_world(i), "rgb8", stamp_of(i), "")
            writer.write(images, stamp_of(i), serialize(message))
    from samlite_ros.bags.unpacking import unpack_file

    folder, unpacked, _ = unpack_file(tmp_path / "bag" / "bag.db3.zstd")
    with folder:
        shutil.copy(unpacked, tmp_path / "bag" / "bag.db3")
    assert read_indices(tmp_path / "bag") == (list(range(FRAMES)), ())


def write_mcap(
    path: Path,
    profile: str = "ros2",
    type_name: str = IMAGE,
    encoding: str = "cdr",
    foreign: bool = False,
    order: list[int] | None = None,
    **settings,
) -> Path:
    """As mcap's own library writes it; `foreign` adds topics that no ROS reads, on a clock of their own."""
    with path.open("wb") as stream:
        writer = McapWriter(stream, chunk_size=4 * SIZE[0] * SIZE[1] * 3, **settings)
        writer.start(profile=profile)
        schema = writer.register_schema(type_name, "ros2msg", typestore().generate_msgdef(IMAGE)[0].encode())
        images = writer.register_channel(TOPIC, encoding, schema)
        others = []
        if foreign:
            for coding, kind in (("json", "jsonschema"), ("protobuf", "protobuf"), ("cbor", "")):
                number = writer.register_schema(f"acme.{coding}", kind, b"\x00{}") if kind else 0
                others.append(writer.register_channel(f"/{coding}", coding, number))
        for i in order or range(FRAMES):
            message = image_message(BAG_MESSAGES, draw_world(i), "rgb8", stamp_of(i), "")
            writer.add_message(images, stamp_of(i), serialize(message), stamp_of(i))
            for other in others:
                writer.add_message(other, 5 - i % 3, json.dumps({"i": i}).encode(), 7)
        writer.finish()
    return path


LEGAL = {
    "as the library writes it": {},
    "no message indexes": {"index_types": IndexType.ALL & ~IndexType.MESSAGE},
    "no chunk indexes": {"index_types": IndexType.ALL & ~IndexType.CHUNK},
    "no index at all": {"index_types": IndexType.NONE, "use_statistics": False},
    "no statistics": {"use_statistics": False},
    "no summary": {
        "index_types": IndexType.NONE,
        "use_statistics": False,
        "repeat_channels": False,
        "repeat_schemas": False,
        "use_summary_offsets": False,
    },
    "index but no channels in the summary": {"repeat_channels": False, "repeat_schemas": False},
    "no chunks": {"use_chunking": False},
    "no chunks, not in the order of time": {"use_chunking": False, "order": [0, 2, 1, *range(3, FRAMES)]},
    "no profile": {"profile": ""},
    "profile of another": {"profile": "acme"},
    "type as older recorders wrote it": {"type_name": "sensor_msgs/Image"},
    "type as DDS writes it": {"type_name": "sensor_msgs::msg::dds_::Image_"},
    "foreign topics": {"foreign": True},
    "foreign topics, no profile, no indexes": {"foreign": True, "profile": "", "index_types": IndexType.NONE},
}


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("settings", LEGAL.values(), ids=LEGAL)
def test_every_legal_mcap_file_is_read(tmp_path: Path, settings: dict, in_folder: bool) -> None:
    write_recording(tmp_path / "bag", FRAMES)
    path = write_mcap(tmp_path / "bag" / "messages.mcap", **settings)
    indices, faults = read_indices(tmp_path / "bag" if in_folder else path)
    assert indices == list(range(FRAMES))
    allowed = "were recorded after one with a newer stamp"
    assert all(allowed in fault for fault in faults) and (not faults or "order" in settings)


def test_only_a_full_index_saves_reading_the_file(tmp_path: Path) -> None:
    assert sum(index_of_mcap(write_mcap(tmp_path / "a.mcap")).values()) == FRAMES
    for settings in ({"use_chunking": False}, {"index_types": IndexType.NONE}, {"index_types": IndexType.CHUNK}):
        assert index_of_mcap(write_mcap(tmp_path / "b.mcap", **settings)) is None


def test_messages_that_the_statistics_count_and_the_file_lacks_are_missed(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", use_chunking=False)
    data = path.read_bytes()
    at = data.index(serialize(image_message(BAG_MESSAGES, draw_world(3), "rgb8", stamp_of(3), ""))) - 31
    size = 9 + int.from_bytes(data[at + 1 : at + 9], "little")
    path.write_bytes(data[:at] + data[at + size :])
    with BagReader(path) as reader:
        assert len(list(reader.messages([TOPIC]))) == FRAMES - 1
        assert any(f"1 of {FRAMES} messages, which its statistics count, are not in it" in f for f in reader.faults)


def test_images_of_ros_1_in_an_mcap_file_are_named_as_such(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", profile="ros1", type_name="sensor_msgs/Image", encoding="ros1")
    with BagReader(path) as reader, pytest.raises(BagError, match=r"no topic of images.*sensor_msgs/Image in ros1, 12"):
        choose_image_topics(reader, [])


@pytest.mark.parametrize("keep_metadata", [True, False])
def test_older_sqlite_bags_name_types_without_msg(tmp_path: Path, keep_metadata: bool) -> None:
    write_recording(tmp_path / "bag", FRAMES, "sqlite3")
    edit("sensor_msgs/msg/Image", "sensor_msgs/Image")(tmp_path / "bag")
    with sqlite3.connect(tmp_path / "bag" / "messages.db3") as file:
        file.execute("UPDATE topics SET type = 'sensor_msgs/Image'")
    if not keep_metadata:
        (tmp_path / "bag" / "metadata.yaml").unlink()
    indices, faults = read_indices(tmp_path / "bag")
    assert indices == list(range(FRAMES))
    assert not faults


@pytest.mark.parametrize("qos", ["", "reliable", "- depth: many"])
def test_sqlite_topics_with_qos_that_nobody_reads(tmp_path: Path, qos: str) -> None:
    write_recording(tmp_path / "bag", FRAMES, "sqlite3")
    with sqlite3.connect(tmp_path / "bag" / "messages.db3") as file:
        file.execute("UPDATE topics SET offered_qos_profiles = ?", (qos,))
        file.execute("INSERT INTO topics VALUES (99, '/acme', 'acme.Photo', 'protobuf', ?, '')", (qos,))
        file.execute("INSERT INTO messages VALUES (9999, 99, 1, x'00')")
    assert read_indices(tmp_path / "bag") == (list(range(FRAMES)), ())


@pytest.mark.parametrize("ambiguous", [False, True])
def test_depth_is_no_candidate_where_no_topic_is_named(tmp_path: Path, ambiguous: bool) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        depth = image_message(BAG_MESSAGES, draw_world(0), "rgb8", stamp_of(0), "")
        depth.encoding = "16UC1"
        packed = BAG_MESSAGES.new(
            COMPRESSED_IMAGE, header=depth.header, format="16UC1; compressedDepth png", data=depth.data
        )
        for topic, kind in (("/a/depth", IMAGE), ("/b/compressedDepth", COMPRESSED_IMAGE), ("/color", IMAGE)):
            bag.add_topic(topic, kind)
        if ambiguous:
            bag.add_topic("/never", IMAGE)
        for index in range(3):
            bag.write("/a/depth", stamp_of(index), depth)
            bag.write("/b/compressedDepth", stamp_of(index), packed)
            bag.write(
                "/color", stamp_of(index), image_message(BAG_MESSAGES, draw_world(index), "rgb8", stamp_of(index), "")
            )
    with BagReader(tmp_path / "bag") as reader:
        if not ambiguous:
            assert choose_image_topics(reader, []) == {"/color": ""}
            return
        with pytest.raises(BagError, match=r"2 topics of images.*/never") as refused:
            choose_image_topics(reader, [])
    assert str(refused.value).endswith("; depth is on /a/depth, /b/compressedDepth")


def test_where_several_topics_have_images_only_those_are_listed(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/front", IMAGE)
        bag.add_topic("/rear", IMAGE)
        for number in range(93):
            bag.add_topic(f"/chatter{number}", STRING)
    with BagReader(tmp_path / "bag") as reader, pytest.raises(BagError) as refused:
        choose_image_topics(reader, [])
    assert "2 topics of images: name one or more; topics in this bag: /front (" in str(refused.value)
    assert "/rear (" in str(refused.value) and "chatter" not in str(refused.value)
    assert str(refused.value).endswith(", and 93 of other types")


def test_a_result_of_another_version_is_still_told_by_its_hash(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/segmentation", SEGMENTATION)
        bag.write_raw("/segmentation", 1, bytes(20))
    edit(r"RIHS01_[0-9a-f]{64}", "RIHS01_" + "0" * 64)(tmp_path / "bag")
    with pytest.raises(BagError, match="another version"):
        ResultBag(tmp_path / "bag")
