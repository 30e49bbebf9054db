"""The files of a bag, as long as they are whole: topics and messages in recorded order.

What is damaged is read as far as it goes by `salvage`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

import lz4.frame
from rosbags.interfaces import MessageDefinitionFormat, Qos
from rosbags.rosbag2 import Reader
from zstandard import ZstdDecompressor, ZstdError

from samlite_ros.bags.mcap_layout import index_of_mcap
from samlite_ros.errors import BagError

STORAGE_SUFFIXES = (".mcap", ".db3")
PACKED_SUFFIX = ".zstd"
"""Follows the storage's own where `ros2 bag` compressed whole files."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LZ4_MAGIC = b"\x04\x22\x4d\x18"


class RawMessage(NamedTuple):
    """One recorded message: its topic, type, when it was recorded [ns], its CDR bytes, and `Topic.definition`."""

    topic: str
    type_name: str
    log_time_ns: int
    data: bytes
    definition: str = ""


class Topic(NamedTuple):
    """One topic of a bag; what the bag does not say is empty.

    `definition` is the text of its messages' type, with all that it is made of, as its recorder knew it.
    """

    name: str
    type_name: str
    message_count: int
    qos: tuple[Qos, ...] = ()
    type_hash: str = ""
    definition: str = ""


class Storage(Protocol):
    """Something that holds recorded messages."""

    topics: dict[str, Topic]

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in recorded order; raises what it meets where the file is damaged."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...


def ros_type(name: str, encoding: str) -> str:
    """The type of a topic as ROS 2 writes it today, whatever its recorder wrote.

    Args:
        name: 'sensor_msgs/msg/Image', older 'sensor_msgs/Image', or DDS's 'sensor_msgs::msg::dds_::Image_'.
        encoding: How the messages are encoded; only CDR can be read, others become part of the name.
    """
    if encoding not in ("cdr", ""):
        return f"{name} in {encoding}"
    found = re.fullmatch(r"(\w+)/(\w+)", name) or re.fullmatch(r"(\w+)::msg::dds_::(\w+)_", name)
    return f"{found[1]}/msg/{found[2]}" if found else name


class WholeStorage:
    """One storage file with an index that says what is in it, read by `rosbags`.

    Raises:
        ReaderError and others: It is not whole, or holds what `rosbags` does not read.
        BagError: Its index says something else than the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = Reader(path)
        self._reader.open()
        self.topics: dict[str, Topic] = {}
        self._types: dict[str, str] = {}
        for connection in self._reader.connections:
            known = self.topics.get(connection.topic)
            count = connection.msgcount + (known.message_count if known else 0)
            qos = tuple(getattr(connection.ext, "offered_qos_profiles", ()))
            type_name = ros_type(connection.msgtype, getattr(connection.ext, "serialization_format", ""))
            self._types[connection.topic] = type_name
            text = connection.msgdef.data if connection.msgdef.format is MessageDefinitionFormat.MSG else ""
            self.topics[connection.topic] = Topic(connection.topic, type_name, count, qos, connection.digest, text)
        if path.suffix == ".mcap":
            self._check_index()

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in recorded order; a `BagError` at the end where some are missing."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        count = 0
        for connection, log_time_ns, data in self._reader.messages(connections):
            count += 1
            definition = self.topics[connection.topic].definition
            type_name = self._types[connection.topic]
            yield RawMessage(connection.topic, type_name, log_time_ns, decompressed(data), definition)
        missing = sum(c.msgcount for c in connections) - count
        if missing > 0:
            raise BagError(f"{missing} more are in its index, but damaged")

    def _check_index(self) -> None:
        """Compare what the summary of an mcap file says with the file; `rosbags` believes it."""
        indexed = index_of_mcap(self.path)
        if indexed is None or indexed != {c.id: c.msgcount for c in self._reader.connections if c.msgcount}:
            self.close()
            raise BagError("its index is not complete")

    def close(self) -> None:
        """Close the files."""
        self._reader.close()


def decompressed(data: bytes) -> bytes:
    """A message's CDR bytes, which its recorder may have compressed: no CDR begins as zstd or lz4 do.

    Returns:
        Empty where the compressed bytes are damaged: the message is lost, those that follow are not.
    """
    try:
        if data[:4] == ZSTD_MAGIC:
            return ZstdDecompressor().decompressobj().decompress(data)
        if data[:4] == LZ4_MAGIC:
            return bytes(lz4.frame.decompress(data))
    except (ZstdError, RuntimeError):
        return b""
    return bytes(data)


def unpack(path: Path) -> tuple[TemporaryDirectory[str], Path]:
    """Unpack a storage file that was compressed as a whole, as far as it goes.

    Returns:
        The folder that it is in, to be left by its owner, and the file: cut where the packed one is.
    """
    folder = TemporaryDirectory(prefix="samlite_bag_")
    target = Path(folder.name, path.stem)
    with path.open("rb") as packed, target.open("wb") as unpacked, suppress(ZstdError):
        ZstdDecompressor().copy_stream(packed, unpacked)
    return folder, target
