"""The files of a bag, whole or damaged: topics and messages in recorded order, and what is wrong with them.

A whole bag is read by `rosbags`. One that lacks its metadata, or an mcap file that ends in the middle (the recorder was
killed, the disk was full), is read file by file as far as it goes; what was wrong is kept as a fault, in words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from mcap.exceptions import EndOfFile
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.interfaces import Qos
from rosbags.rosbag2 import Reader
from zstandard import ZstdDecompressor

from samlite_ros.errors import BagError

STORAGE_SUFFIXES = (".mcap", ".db3")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class RawMessage(NamedTuple):
    """One recorded message: its topic, type, when it was recorded [ns], and its CDR bytes."""

    topic: str
    type_name: str
    log_time_ns: int
    data: bytes


class Topic(NamedTuple):
    """One topic of a bag. `qos` is empty where the bag does not say."""

    name: str
    type_name: str
    message_count: int
    qos: tuple[Qos, ...] = ()
    type_hash: str = ""


class Storage(Protocol):
    """Something that holds recorded messages."""

    topics: dict[str, Topic]

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in recorded order; raises what it meets where the file is damaged."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...


class WholeStorage:
    """A bag folder with its metadata, or one storage file with its index, read by `rosbags`.

    Raises:
        ReaderError and others: It is not whole.
    """

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)
        self._reader.open()
        # Without metadata.yaml nothing says that each message is compressed, except its first bytes.
        self._may_be_compressed = path.is_file()
        self.topics: dict[str, Topic] = {}
        for connection in self._reader.connections:
            known = self.topics.get(connection.topic)
            count = connection.msgcount + (known.message_count if known else 0)
            qos = tuple(getattr(connection.ext, "offered_qos_profiles", ()))
            self.topics[connection.topic] = Topic(connection.topic, connection.msgtype, count, qos, connection.digest)

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in recorded order."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        for connection, log_time_ns, data in self._reader.messages(connections):
            raw = _decompressed(data) if self._may_be_compressed else bytes(data)
            yield RawMessage(connection.topic, connection.msgtype, log_time_ns, raw)

    def close(self) -> None:
        """Close the files."""
        self._reader.close()


class CutMcap:
    """An mcap file without its end, read from its beginning as far as it goes.

    Raises:
        BagError: It is not an mcap file, or holds no message.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.topics: dict[str, Topic] = {}
        try:
            for message in self._scan():
                known = self.topics[message.topic]
                self.topics[message.topic] = known._replace(message_count=known.message_count + 1)
        except Exception as error:  # wherever the damage is, what lies before it counts
            if not self.topics:
                raise BagError(f"{path}: not an mcap file, or cut before its first message ({error!r})") from error

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in recorded order, then the error of the cut."""
        try:
            yield from (m for m in self._scan() if m.topic in topics)
        except EndOfFile:
            raise BagError("the file ends in the middle of a record (recorder killed, disk full?)") from None

    def _scan(self) -> Iterator[RawMessage]:
        schemas: dict[int, str] = {}
        channels: dict[int, Channel] = {}
        with self._path.open("rb") as stream:
            for record in StreamReader(stream, validate_crcs=True).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record.name
                elif isinstance(record, Channel):
                    channels[record.id] = record
                    self.topics.setdefault(record.topic, Topic(record.topic, schemas.get(record.schema_id, ""), 0))
                elif isinstance(record, Message):
                    channel = channels[record.channel_id]
                    type_name = schemas.get(channel.schema_id, "")
                    yield RawMessage(channel.topic, type_name, record.log_time, _decompressed(record.data))

    def close(self) -> None:
        """Nothing is held open."""


def _decompressed(data: bytes) -> bytes:
    return ZstdDecompressor().decompress(data) if data[:4] == ZSTD_MAGIC else bytes(data)
