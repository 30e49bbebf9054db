"""Whole bags of every kind are read alike; damaged ones as far as they go, with words that say what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bag_world import SIZE, TOPIC, Recording, draw_world, stamp_of, write_recording
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from samlite_ros.bags.frames import choose_image_topics, read_frames
from samlite_ros.bags.index import index_bag, read_stamp_ns
from samlite_ros.bags.message_types import (
    BAG_MESSAGES,
    COMPRESSED_IMAGE,
    IMAGE,
    STRING,
    deserialize,
    serialize,
    typestore,
)
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import BagError
from samlite_ros.messages.fill import header_message, image_message


def read_all(path: Path) -> tuple[list, tuple[str, ...]]:
    with BagReader(path) as reader:
        index = index_bag(reader, [TOPIC])
        frames = [f.frame for f in read_frames(reader, index, {TOPIC: ""})]
        return [f for f in frames if f is not None], reader.faults


KINDS = [
    (StoragePlugin.MCAP, CompressionMode.NONE),
    (StoragePlugin.MCAP, CompressionMode.FILE),
    (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    (StoragePlugin.MCAP, CompressionMode.STORAGE),
    (StoragePlugin.SQLITE3, CompressionMode.NONE),
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
]


@pytest.mark.parametrize(("storage", "mode"), KINDS)
def test_every_kind_of_bag_gives_the_same_frames(tmp_path: Path, storage: StoragePlugin, mode: CompressionMode) -> None:
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(TOPIC, IMAGE, typestore=typestore())
        for index in range(4):
            message = image_message(BAG_MESSAGES, draw_world(index), "rgb8", stamp_of(index), "optical")
            writer.write(connection, stamp_of(index), serialize(message))
    frames, faults = read_all(tmp_path / "bag")
    assert [f.stamp_ns for f in frames] == [stamp_of(i) for i in range(4)]
    assert all(np.array_equal(f.image, draw_world(i)) and f.frame_id == "optical" for i, f in enumerate(frames))
    assert not faults


def cut(path: Path, share: float = 0.6) -> None:
    file = next(p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    os.truncate(file, int(file.stat().st_size * share))


def cut_and_drop_metadata(path: Path) -> None:
    cut(path)
    (path / "metadata.yaml").unlink()


def bend_middle(path: Path) -> None:
    file = next(p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = b"?" * 6000
    file.write_bytes(data)


DAMAGES = [
    # storage, compressed, damage, least frames still read, what the fault says
    ("mcap", False, cut, 1, "ends in the middle"),
    ("mcap", True, cut, 1, "ends in the middle"),
    ("mcap", False, cut_and_drop_metadata, 1, "ends in the middle"),
    ("sqlite3", False, bend_middle, 1, "damaged after"),
]


@pytest.mark.parametrize(("storage", "compressed", "damage", "least", "words"), DAMAGES)
def test_damaged_bag_is_read_as_far_as_it_goes(
    tmp_path: Path, storage: str, compressed: bool, damage: Callable[[Path], None], least: int, words: str
) -> None:
    rng = np.random.default_rng(0)
    with BagWriter(tmp_path / "bag", storage, compressed) as bag:
        bag.add_topic(TOPIC, IMAGE)
        for index in range(60):  # noise does not compress: several chunks
            noise = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
            message = image_message(BAG_MESSAGES, noise, "rgb8", stamp_of(index), "")
            bag.write(TOPIC, stamp_of(index), message)
    damage(tmp_path / "bag")
    frames, faults = read_all(tmp_path / "bag")
    assert least <= len(frames) <= 60
    assert frames[0].stamp_ns == stamp_of(0)
    assert [f.stamp_ns for f in frames] == sorted({f.stamp_ns for f in frames})
    assert any(words in fault for fault in faults)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "no such bag"),
        (lambda p: p.mkdir(), "nothing can be read.*but nothing"),
        (lambda p: (p.mkdir(), (p / "notes.txt").write_text("x")), "notes.txt"),
        (lambda p: (p.mkdir(), (p / "a.mcap").write_bytes(b"\x00" * 500)), "not an mcap file"),
        (lambda p: (p.mkdir(), (p / "metadata.yaml").write_text("{")), "metadata"),
    ],
)
def test_what_is_no_bag_is_refused(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    make(tmp_path / "bag")
    with pytest.raises(BagError, match=words):
        BagReader(tmp_path / "bag")


def test_ros_1_bag_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(BagError, match="rosbags-convert"):
        BagReader(tmp_path / "old.bag")


def write_topics(path: Path) -> None:
    """An image topic, a text topic, an empty image topic, and one of a type that nobody knows."""
    with BagWriter(path) as bag:
        bag.add_topic("/camera/image", IMAGE)
        bag.add_topic("/chatter", STRING)
        bag.add_topic("/empty/image", IMAGE)
        bag._connections["/lidar"] = bag._writer.add_connection(
            "/lidar", "acme_msgs/msg/Scan", msgdef="float32 range\nacme_msgs/Blob blob", rihs01="RIHS01_" + "0" * 64
        )
        bag.write("/camera/image", stamp_of(0), image_message(BAG_MESSAGES, draw_world(0), "rgb8", stamp_of(0), ""))
        bag.write("/chatter", stamp_of(0), BAG_MESSAGES.new(STRING, data="hello"))
        bag.write_raw("/lidar", stamp_of(0), b"\x00\x01\x00\x00\xff\xff\xff")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["/nothing"], r"no topic /nothing; topics in this bag: /camera/image \(sensor_msgs/msg/Image, 1 messages\)"),
        (["/chatter"], "is std_msgs/msg/String, expected sensor_msgs/msg/Image or"),
        (["/lidar"], "is acme_msgs/msg/Scan, expected"),
        (["/empty/image"], "holds no message"),
        ([], "2 topics of images: name one or more; topics in this bag: /camera/image"),
        (["/camera/image", "/camera/image"], "need names, NAME=TOPIC"),
        (["a=/camera/image", "a=/camera/image"], "must differ"),
    ],
)
def test_image_topics_that_cannot_be_read_are_refused(tmp_path: Path, wanted: list[str], words: str) -> None:
    write_topics(tmp_path / "bag")
    with BagReader(tmp_path / "bag") as reader, pytest.raises(BagError, match=words):
        choose_image_topics(reader, wanted)


def test_a_bag_without_images_says_what_is_there(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/chatter", STRING)
    with BagReader(tmp_path / "bag") as reader, pytest.raises(BagError) as refused:
        choose_image_topics(reader, [])
    assert "no topic of images; topics in this bag: /chatter (std_msgs/msg/String, 0 messages)" in str(refused.value)


def test_unknown_types_beside_the_images_do_not_matter(tmp_path: Path) -> None:
    write_topics(tmp_path / "bag")
    with BagReader(tmp_path / "bag") as reader:
        cameras = choose_image_topics(reader, ["front=/camera/image"])
        frames = list(read_frames(reader, index_bag(reader, list(cameras)), cameras))
    assert cameras == {"/camera/image": "front"}
    assert [f.frame.camera for f in frames if f.frame] == ["front"]


def test_the_only_image_topic_is_found(recording: Recording) -> None:
    with BagReader(recording.path) as reader:
        assert choose_image_topics(reader, []) == {TOPIC: ""}


def test_frames_come_in_the_order_of_their_stamps(tmp_path: Path) -> None:
    write_recording(tmp_path / "bag", order=[0, 3, 1, 2, 4, 4, 5])
    frames, faults = read_all(tmp_path / "bag")
    assert [f.stamp_ns for f in frames] == [stamp_of(i) for i in range(6)]
    assert all(np.array_equal(f.image, draw_world(i)) for i, f in enumerate(frames))
    assert any("2 of 7 image messages were recorded after one with a newer stamp" in fault for fault in faults)
    assert any("1 of 7 image messages have the stamp of another" in fault for fault in faults)


def test_messages_with_no_stamps_are_refused(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic(TOPIC, IMAGE)
        bag.write(TOPIC, 0, image_message(BAG_MESSAGES, draw_world(0), "rgb8", 0, ""))  # nor a time of recording
    with BagReader(tmp_path / "bag") as reader, pytest.raises(BagError, match="has a stamp in its header"):
        index_bag(reader, [TOPIC])


def write_damaged_images(path: Path) -> None:
    """Raw images: good, too short to hold a stamp, of an unknown encoding, cut, good."""
    with BagWriter(path) as bag:
        bag.add_topic(TOPIC, IMAGE)
        good = [image_message(BAG_MESSAGES, draw_world(i), "rgb8", stamp_of(i), "") for i in range(5)]
        strange = image_message(BAG_MESSAGES, draw_world(2), "rgb77", stamp_of(2), "")
        bag.write(TOPIC, stamp_of(0), good[0])
        bag.write_raw(TOPIC, stamp_of(1), b"\x00\x01\x00")
        bag.write(TOPIC, stamp_of(2), strange)
        bag.write_raw(TOPIC, stamp_of(3), serialize(good[3])[:5000])
        bag.write(TOPIC, stamp_of(4), good[4])


def test_damaged_images_are_named_and_left_out(tmp_path: Path) -> None:
    write_damaged_images(tmp_path / "bag")
    frames, faults = read_all(tmp_path / "bag")
    assert [f.stamp_ns for f in frames] == [stamp_of(0), stamp_of(4)]
    assert any("too short to hold a stamp" in fault for fault in faults)
    assert any(f"stamp {stamp_of(2)} ns" in fault and "rgb77" in fault for fault in faults)
    assert any(f"stamp {stamp_of(3)} ns" in fault for fault in faults)


def test_damaged_jpegs_are_named_and_left_out(tmp_path: Path) -> None:
    import cv2

    _, data = cv2.imencode(".jpg", draw_world(0))
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic(TOPIC, COMPRESSED_IMAGE)
        for index, jpeg in enumerate([data.ravel(), data.ravel()[: len(data) // 2]]):
            header = header_message(BAG_MESSAGES, stamp_of(index), "")
            bag.write(
                TOPIC, stamp_of(index), BAG_MESSAGES.new(COMPRESSED_IMAGE, header=header, format="jpeg", data=jpeg)
            )
    frames, faults = read_all(tmp_path / "bag")
    assert [f.stamp_ns for f in frames] == [stamp_of(0)]
    assert any("cut off" in fault for fault in faults)


@pytest.mark.parametrize(("order", "data"), [("little", b"\x00\x01\x00\x00"), ("big", b"\x00\x00\x00\x00")])
def test_stamp_is_read_in_either_byte_order(order: str, data: bytes) -> None:
    content = data + (7).to_bytes(4, order) + (5).to_bytes(4, order)  # type: ignore[arg-type]
    assert read_stamp_ns(content) == 7_000_000_005


def test_bytes_that_are_no_message_are_an_error() -> None:
    with pytest.raises(BagError, match="not a sensor_msgs/msg/Image"):
        deserialize(b"\x00\x01\x00\x00" + b"\xff" * 40, IMAGE)
