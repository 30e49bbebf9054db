"""An mcap file as its records tell it: without an index, cut (the recorder was killed), or with damaged chunks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mcap.exceptions import EndOfFile
from mcap.records import Channel, Chunk, McapRecord, Message, Schema, Statistics
from mcap.stream_reader import StreamReader, breakup_chunk
from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos

from samlite_ros.bags.storage import RawMessage, Topic, raw_message, ros_type
from samlite_ros.bags.unpacking import unpacked
from samlite_ros.errors import BagError
from samlite_ros.foreign.limits import CHUNK_BYTES, QOS_CHARACTERS


class CutMcap:
    """An mcap file, read from its beginning as far as it goes; damaged chunks are left out.

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
        """Messages of these topics in recorded order, then what is missing in the file, as an error."""
        try:
            yield from (m for m in self._scan() if m.topic in topics)
        except EndOfFile:
            raise BagError("the file ends in the middle of a record (recorder killed, disk full?)") from None

    def close(self) -> None:
        """Nothing is held open."""

    def _scan(self) -> Iterator[RawMessage]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Topic] = {}
        count = promised = 0
        for record in self._records():
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = topic = _topic(record, schemas.get(record.schema_id))
                self.topics.setdefault(record.topic, topic)
            elif isinstance(record, Statistics):
                promised = record.message_count
            elif isinstance(record, Message):
                count += 1
                if record.channel_id in channels:
                    topic = channels[record.channel_id]
                    kept = topic.name, topic.type_name, record.log_time
                    yield raw_message(*kept, record.data, topic.definition)
        if count < promised:
            raise BagError(f"{promised - count} of {promised} messages, which its statistics count, are not in it")

    def _records(self) -> Iterator[McapRecord]:
        """Records in the order of the file, those in chunks too; then an error where chunks are damaged."""
        damaged = 0
        with self._path.open("rb") as stream:
            for record in StreamReader(stream, emit_chunks=True, record_size_limit=CHUNK_BYTES).records:
                if not isinstance(record, Chunk):
                    yield record
                    continue
                try:
                    inside = breakup_chunk(_unpacked(record), validate_crc=True)
                except Exception:  # fails in whichever library meets the damage
                    damaged += 1
                    continue
                yield from inside
        if damaged:
            raise BagError(f"{damaged} damaged chunks are left out")


def _unpacked(chunk: Chunk) -> Chunk:
    """The chunk with what is in it, which the library would unpack however much it becomes."""
    if chunk.compression not in ("zstd", "lz4"):
        return chunk
    return replace(chunk, compression="", data=unpacked(chunk.data, CHUNK_BYTES))


def _topic(channel: Channel, schema: Schema | None) -> Topic:
    qos: tuple[Qos, ...] = ()
    offered = channel.metadata.get("offered_qos_profiles", "")
    if len(offered) <= QOS_CHARACTERS:
        with suppress(Exception):  # the text is whatever its recorder wrote
            qos = tuple(parse_qos(offered))
    text = schema.data.decode(errors="replace") if schema is not None and schema.encoding == "ros2msg" else ""
    type_name = ros_type(schema.name if schema is not None else "", channel.message_encoding)
    return Topic(channel.topic, type_name, 0, qos, definition=text)
