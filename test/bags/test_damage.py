"""Damaged storage files give all that is whole in them, wherever the damage lies; no damage gives a traceback."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
from bag_world import TOPIC, colour_segmenter, draw_world, stamp_of, write_recording
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from samlite_ros.bags.frames import read_frames
from samlite_ros.bags.index import index_bag
from samlite_ros.bags.message_types import BAG_MESSAGES, IMAGE, STRING, serialize, typestore
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import FrameKey, ResultBag
from samlite_ros.bags.salvage.broken_sqlite import BrokenSqlite
from samlite_ros.bags.storage import WholeStorage
from samlite_ros.bags.unpacking import ZSTD_MAGIC
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import BagError
from samlite_ros.evaluation.pictures import find_images
from samlite_ros.messages.fill import image_message
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions

FRAMES = 30


def noisy_world(index: int) -> np.ndarray:
    """The world on noise: it does not compress, so that a bag has several chunks."""
    noise = np.random.default_rng(index).integers(0, 255, (240, 320, 3), np.uint8)
    noise[:96, :128] = draw_world(index)
    return noise


def read_indices(path: Path) -> tuple[list[int], tuple[str, ...]]:
    """Which frames are read, each as it was written; and the faults."""
    with BagReader(path) as reader:
        index = index_bag(reader, [TOPIC])
        frames = [f.frame for f in read_frames(reader, index, {TOPIC: ""}) if f.frame is not None]
        return [(f.stamp_ns - stamp_of(0)) // (stamp_of(1) - stamp_of(0)) for f in frames], reader.faults


def write_bag(path: Path, storage: StoragePlugin, mode: CompressionMode = CompressionMode.NONE) -> Path:
    """Frames, with a text between any two; returns the storage file."""
    writer = Writer(path, version=8, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        images = writer.add_connection(TOPIC, IMAGE, typestore=typestore())
        texts = writer.add_connection("/chatter", STRING, typestore=typestore())
        for index in range(FRAMES):
            message = image_message(BAG_MESSAGES, noisy_world(index), "rgb8", stamp_of(index), "")
            writer.write(images, stamp_of(index), serialize(message))
            writer.write(texts, stamp_of(index) + 1, serialize(BAG_MESSAGES.new(STRING, data="text " * index)))
    return storage_file(path)


def storage_file(path: Path) -> Path:
    return next(p for p in path.iterdir() if p.name != "metadata.yaml")


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("keep_metadata", [True, False])
def test_cut_sqlite_file_gives_what_lies_before_the_cut(tmp_path: Path, share: float, keep_metadata: bool) -> None:
    file = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3)
    os.truncate(file, int(file.stat().st_size * share))
    if not keep_metadata:
        (tmp_path / "bag" / "metadata.yaml").unlink()
    indices, faults = read_indices(tmp_path / "bag")
    assert indices == list(range(len(indices)))
    assert abs(len(indices) - share * FRAMES) <= 1
    assert any("cut or damaged (copy interrupted, disk full?)" in fault for fault in faults)
    assert any(f"sqlite3 {file.name} .recover | sqlite3 recovered_{file.name}" in fault for fault in faults)


def test_sqlite_file_cut_before_its_topics_is_refused(tmp_path: Path) -> None:
    file = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3)
    for size in (0, 50, 100, 4096, 8192):
        os.truncate(file, size)
        with pytest.raises(BagError, match=r"nothing can be read.*cannot read its topics.*sqlite3 bag.db3 .recover"):
            BagReader(tmp_path / "bag")


def test_a_whole_sqlite_file_gives_the_same_messages_when_it_is_read_as_a_broken_one(tmp_path: Path) -> None:
    file = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3)
    whole, broken = WholeStorage(file), BrokenSqlite(file)
    expected = [message._replace(definition="") for message in whole.messages(whole.topics)]
    assert list(broken.messages([TOPIC, "/chatter"])) == expected  # and no fault at the end
    assert {t.name: (t.type_name, t.message_count) for t in broken.topics.values()} == {
        TOPIC: (IMAGE, FRAMES),
        "/chatter": (STRING, FRAMES),
    }
    whole.close()
    broken.close()


@pytest.mark.parametrize(
    ("storage", "mode"),
    [
        (StoragePlugin.SQLITE3, CompressionMode.NONE),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
        (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    ],
)
def test_what_lies_behind_the_damage_is_read_too(tmp_path: Path, storage: StoragePlugin, mode: CompressionMode) -> None:
    file = write_bag(tmp_path / "bag", storage, mode)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    at = middle if mode is CompressionMode.NONE else data.index(ZSTD_MAGIC, middle) + len(ZSTD_MAGIC)
    data[at : at + 5000] = b"\x0f" * 5000
    file.write_bytes(data)
    indices, faults = read_indices(tmp_path / "bag")
    lost = sorted(set(range(FRAMES)) - set(indices))
    assert {0, FRAMES - 1} <= set(indices)
    assert 1 <= len(lost) <= 6  # a message, or a chunk of them
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert faults


@pytest.mark.parametrize("storage", StoragePlugin)
def test_files_packed_as_a_whole_are_read_without_metadata(tmp_path: Path, storage: StoragePlugin) -> None:
    file = write_bag(tmp_path / "bag", storage, CompressionMode.FILE)
    (tmp_path / "bag" / "metadata.yaml").unlink()
    assert file.suffix == ".zstd"
    assert read_indices(tmp_path / "bag")[0] == list(range(FRAMES))
    assert read_indices(file) == (list(range(FRAMES)), ())
    os.truncate(file, file.stat().st_size // 2)
    indices, faults = read_indices(file)
    assert indices == list(range(len(indices)))
    assert len(indices) >= FRAMES // 3
    assert faults


@pytest.mark.parametrize("compression", CompressionType)
def test_chunks_of_every_compression_are_read(tmp_path: Path, compression: CompressionType) -> None:
    """As mcap's own library writes them, lz4 among them; whole and cut."""
    path = tmp_path / "own.mcap"
    with path.open("wb") as stream:
        writer = McapWriter(stream, compression=compression, chunk_size=500_000)
        writer.start(profile="ros2")
        schema = writer.register_schema(IMAGE, "ros2msg", typestore().generate_msgdef(IMAGE)[0].encode())
        channel = writer.register_channel(TOPIC, "cdr", schema)
        for index in range(FRAMES):
            message = image_message(BAG_MESSAGES, noisy_world(index), "rgb8", stamp_of(index), "")
            writer.add_message(channel, stamp_of(index), serialize(message), stamp_of(index))
        writer.finish()
    assert read_indices(path) == (list(range(FRAMES)), ())
    os.truncate(path, path.stat().st_size // 2)
    indices, faults = read_indices(path)
    assert indices == list(range(len(indices)))
    assert len(indices) >= FRAMES // 3
    assert faults


def test_messages_packed_with_lz4_are_read(tmp_path: Path) -> None:
    write_recording(tmp_path / "plain", frames=3)
    with BagWriter(tmp_path / "bag") as bag, BagReader(tmp_path / "plain") as plain:
        bag.add_topic(TOPIC, IMAGE)
        for message in plain.messages([TOPIC]):
            bag.write_raw(TOPIC, message.log_time_ns, lz4.frame.compress(message.data))
    assert read_indices(tmp_path / "bag") == ([0, 1, 2], ())


def test_journal_that_was_not_merged_is_named(tmp_path: Path) -> None:
    write_recording(tmp_path / "bag", frames=3, storage="sqlite3")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    (tmp_path / "bag" / "messages.db3-wal").write_bytes(b"\0" * 100)
    indices, faults = read_indices(tmp_path / "bag")
    assert indices == [0, 1, 2]
    assert any("messages.db3-wal holds messages that never reached messages.db3" in fault for fault in faults)


def test_images_without_a_stamp_have_the_time_of_their_recording(tmp_path: Path) -> None:
    """As the node takes the time of arrival: some drivers set no stamp, some not in their first frames."""
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic(TOPIC, IMAGE)
        for place, stamp in enumerate((0, 0, stamp_of(2), stamp_of(3))):
            bag.write(TOPIC, stamp_of(place), image_message(BAG_MESSAGES, noisy_world(place), "rgb8", stamp, ""))
    indices, faults = read_indices(tmp_path / "bag")
    assert indices == [0, 1, 2, 3]
    assert [fault.partition(": ")[2] for fault in faults] == [
        "2 of 4 image messages have no stamp in their header: the time of their recording stands in for it, "
        "as in the node"
    ]
    result = ResultOptions(images=True, timeline=False)
    replay(tmp_path / "bag", tmp_path / "out", ReplayOptions(phrases=("red thing",), result=result), colour_segmenter())
    with ResultBag(tmp_path / "out") as bag:
        keys = [FrameKey("", answer.stamp_ns) for answer, _ in bag.answers()]
    assert [key.stamp_ns for key in keys] == [stamp_of(i) for i in range(4)]
    images = find_images([tmp_path / "out"], keys)  # those that were copied carry no stamp either
    assert all(np.array_equal(images[key], noisy_world(place)) for place, key in enumerate(keys))


def damages(rng: random.Random, data: bytes) -> Iterator[bytes]:
    """Cut, bytes flipped, bytes zeroed, at random places; more often near the ends, where the indices are."""
    for _ in range(6):
        at = int(len(data) * rng.choice([rng.random(), rng.random() ** 4, 1 - rng.random() ** 4]))
        yield data[:at]
        flipped = bytearray(data)
        for _ in range(rng.choice([1, 5, 50])):
            flipped[(at + rng.randrange(3000)) % len(data)] ^= 1 << rng.randrange(8)
        yield bytes(flipped)
        size = rng.choice([10, 500, 20000])
        yield data[:at] + bytes(len(data[at : at + size])) + data[at + size :]


WAYS = [
    (storage, mode)
    for storage in StoragePlugin
    for mode in CompressionMode
    if (storage, mode) != (StoragePlugin.SQLITE3, CompressionMode.STORAGE)
]


@pytest.mark.parametrize(("storage", "mode"), WAYS)
def test_no_damage_is_more_than_a_fault(tmp_path: Path, storage: StoragePlugin, mode: CompressionMode) -> None:
    """Every bag is either refused in words, or gives frames; lost frames are told of."""
    name = write_bag(tmp_path / "whole", storage, mode).name
    data = (tmp_path / "whole" / name).read_bytes()
    for number, damaged in enumerate(damages(random.Random(f"{storage} {mode}"), data)):
        shutil.copytree(tmp_path / "whole", tmp_path / "bag")
        (tmp_path / "bag" / name).write_bytes(damaged)
        if number % 4 == 3:
            (tmp_path / "bag" / "metadata.yaml").unlink()
        try:
            indices, faults = read_indices(tmp_path / "bag")
        except BagError as error:
            assert str(tmp_path) in str(error)
        else:
            assert len(indices) == FRAMES or faults
        shutil.rmtree(tmp_path / "bag")
