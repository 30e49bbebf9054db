"""The files of a bag, as long as they are whole: topics and messages in recorded order.

What is damaged is read as far as it goes by `salvage`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from rosbags.interfaces import MessageDefinitionFormat, Qos
from rosbags.rosbag2 import Reader

from samlite_ros.bags.mcap_layout import index_of_mcap
from samlite_ros.bags.sqlite_layout import check_file
from samlite_ros.bags.unpacking import unpacked
from samlite_ros.errors import BagError

STORAGE_SUFFIXES = (".mcap", ".db3")
PACKED_SUFFIX = ".zstd"
"""Follows the storage's own where `ros2 bag` compressed whole files."""
NOT_COMPLETE = "its index is not complete"


class RawMessage(NamedTuple):
    """One recorded message.

    Args:
        topic, type_name: Its topic and type.
        log_time_ns: When it was recorded [ns].
        data: Its CDR bytes; empty where they are lost.
        definition: See `Topic`.
        damage: Why they are lost, in words.
    """

    topic: str
    type_name: str
    log_time_ns: int
    data: bytes
    definition: str = ""
    damage: str = ""


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
        indexed = _checked_index(path)
        self._reader = Reader(path)
        self._reader.open()
        self.topics: dict[str, Topic] = {}
        self._types: dict[str, str] = {}
        if not all(isinstance(name, str) for c in self._reader.connections for name in (c.topic, c.msgtype)):
            self.close()
            raise BagError("a topic's name is no text")
        for connection in self._reader.connections:
            known = self.topics.get(connection.topic)
            count = connection.msgcount + (known.message_count if known else 0)
            qos = tuple(getattr(connection.ext, "offered_qos_profiles", ()))
            type_name = ros_type(connection.msgtype, getattr(connection.ext, "serialization_format", ""))
            self._types[connection.topic] = type_name
            text = connection.msgdef.data if connection.msgdef.format is MessageDefinitionFormat.MSG else ""
            self.topics[connection.topic] = Topic(connection.topic, type_name, count, qos, connection.digest, text)
        if indexed is not None and indexed != {c.id: c.msgcount for c in self._reader.connections if c.msgcount}:
            self.close()
            raise BagError(NOT_COMPLETE)

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
            yield raw_message(connection.topic, type_name, log_time_ns, data, definition)
        missing = sum(c.msgcount for c in connections) - count
        if missing > 0:
            raise BagError(f"{missing} more are in its index, but damaged")

    def close(self) -> None:
        """Close the files."""
        self._reader.close()


def _checked_index(path: Path) -> Counter[int] | None:
    """Messages by channel that the index of an mcap file names, for `rosbags` believes its summary; else None.

    Raises:
        BagError: It is not complete, or something in the file is not for `rosbags`, which takes memory as it is told.
        sqlite3.Error: The file is damaged.
    """
    if path.suffix != ".mcap":
        check_file(path)
        return None
    indexed = index_of_mcap(path)
    if indexed is None:
        raise BagError(NOT_COMPLETE)
    return indexed


def raw_message(topic: str, type_name: str, log_time_ns: int, data: bytes, definition: str = "") -> RawMessage:
    """A message as it lies in a file, unpacked: no CDR begins as zstd or lz4 do.

    Where the compressed bytes are damaged or become too many, the message is lost, those that follow are not.
    """
    try:
        return RawMessage(topic, type_name, log_time_ns, unpacked(data), definition)
    except BagError as error:
        return RawMessage(topic, type_name, log_time_ns, b"", definition, str(error))
