"""Damaged bags: both storages, whole, compressed and salvaged."""

from __future__ import annotations

import functools
import io
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import lz4.frame
import numpy as np
import zstandard
from targets import MASK, PICTURE, Target, query_message

from samlite_ros.bags.frames import read_frames
from samlite_ros.bags.index import index_bag
from samlite_ros.bags.message_types import BAG_MESSAGES, IMAGE, SEGMENTATION, TEXT_QUERY, deserialize, serialize
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import ResultBag
from samlite_ros.bags.unpacking import unpacked
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import SamliteError
from samlite_ros.evaluation.truth.truth import read_truth
from samlite_ros.messages.fill import image_message, segmentation_message
from samlite_ros.messages.read import read_segmentation
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.types import Instance, Prompt, Query, QueryKey, QueryMatch, QueryResult, Segmentation

START_NS = 1_700_000_000_000_000_000


def answer(stamp_ns: int = START_NS) -> Segmentation:
    query = Query(QueryKey("planner", "cup"), Prompt("red cup"), 3, text="red cup")
    thing = Instance(
        7, (QueryMatch(query, 0.8),), 0.8, True, stamp_ns - 5, (8.0, 6.0, 33.0, 31.0), mask_from_array(MASK)
    )
    result = QueryResult(query, stamp_ns - 5, 0.9, 1)
    return Segmentation(stamp_ns, "optical", "", (37, 52), "fake", 1, stamp_ns - 5, (result,), (thing,))


@functools.cache
def bag(storage: str, compressed: bool) -> bytes:
    """A bag with images, answers and queries, as the bytes of its storage file."""
    with tempfile.TemporaryDirectory() as folder:
        with BagWriter(Path(folder, "bag"), storage, compressed) as writer:
            writer.add_topic("/image", IMAGE)
            writer.add_topic("/samlite/segmentation", SEGMENTATION)
            writer.add_topic("/samlite/query", TEXT_QUERY)
            for n in range(4):
                stamp = START_NS + n * 100_000_000
                writer.write("/image", stamp, image_message(BAG_MESSAGES, PICTURE, "rgb8", stamp, "optical"))
                writer.write("/samlite/segmentation", stamp, segmentation_message(BAG_MESSAGES, answer(stamp)))
                writer.write("/samlite/query", stamp, query_message(id=f"{n}"))
        (path,) = (p for p in Path(folder, "bag").iterdir() if p.suffix in (".mcap", ".db3"))
        return path.read_bytes()


def run_bag(suffix: str, data: bytes) -> None:
    """Frames, answers and truth of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"messages{suffix}")
        path.write_bytes(data)
        with suppress(SamliteError), BagReader(path) as reader:
            _ = reader.listing
            cameras = {t.name: "" for t in reader.topics.values() if t.type_name == IMAGE}
            if cameras:
                index = index_bag(reader, list(cameras), ("/samlite/query",))
                for decoded in read_frames(reader, index, cameras, max_pixels=4_000_000):
                    assert decoded.frame is None or decoded.frame.image.dtype == np.uint8
            assert all(len(fault) <= 1000 for fault in reader.faults)
        with suppress(SamliteError), ResultBag(path) as results:
            list(results.answers())
        with suppress(SamliteError):
            read_truth(path)


def run_answers(data: bytes) -> None:
    """A Segmentation message."""
    with suppress(SamliteError, ValueError):
        read_segmentation(deserialize(data, SEGMENTATION))


def run_packed(data: bytes) -> None:
    """A compressed message."""
    with suppress(SamliteError):
        assert len(unpacked(data, 1 << 22)) <= max(1 << 22, len(data))


def packed_seeds() -> list[bytes]:
    whole = bytes(range(256)) * 40
    stream = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(stream, closefd=False) as writer:
        writer.write(whole)
    return [
        zstandard.compress(whole),
        stream.getvalue(),
        lz4.frame.compress(whole),
        lz4.frame.compress(whole, store_size=False, block_linked=True),
        zstandard.compress(bytes(100_000_000)),
        lz4.frame.compress(bytes(30_000_000)),
    ]


def _seeds(storage: str, *kinds: bool) -> Callable[[], Sequence[bytes]]:
    return lambda: [bag(storage, compressed) for compressed in kinds]


BAG_TARGETS = {
    "mcap": Target(functools.partial(run_bag, ".mcap"), _seeds("mcap", False, True)),
    "sqlite": Target(functools.partial(run_bag, ".db3"), _seeds("sqlite3", False, True)),
    "answers": Target(run_answers, lambda: [serialize(segmentation_message(BAG_MESSAGES, answer()))]),
    "packed": Target(run_packed, packed_seeds),
}
