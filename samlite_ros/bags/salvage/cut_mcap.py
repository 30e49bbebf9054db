"""An mcap file that ends in the middle (the recorder was killed, the disk was full) or holds damaged chunks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from mcap.exceptions import EndOfFile
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

from samlite_ros.bags.storage import RawMessage, Topic, decompressed
from samlite_ros.errors import BagError


class CutMcap:
    """An mcap file without its end, read from its beginning as far as it goes; damaged chunks are left out.

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
        """Messages of these topics in recorded order, then what is wrong with the file, as an error."""
        try:
            yield from (m for m in self._scan() if m.topic in topics)
        except EndOfFile:
            raise BagError("the file ends in the middle of a record (recorder killed, disk full?)") from None

    def close(self) -> None:
        """Nothing is held open."""

    def _scan(self) -> Iterator[RawMessage]:
        schemas: dict[int, str] = {}
        channels: dict[int, Channel] = {}
        for record in self._records():
            if isinstance(record, Schema):
                schemas[record.id] = record.name
            elif isinstance(record, Channel):
                channels[record.id] = record
                self.topics.setdefault(record.topic, Topic(record.topic, schemas.get(record.schema_id, ""), 0))
            elif isinstance(record, Message) and record.channel_id in channels:
                channel = channels[record.channel_id]
                type_name = schemas.get(channel.schema_id, "")
                yield RawMessage(channel.topic, type_name, record.log_time, decompressed(record.data))

    def _records(self) -> Iterator[McapRecord]:
        """Records in the order of the file, those in chunks too; then an error where chunks are damaged."""
        damaged = 0
        with self._path.open("rb") as stream:
            for record in StreamReader(stream, emit_chunks=True).records:
                if not isinstance(record, Chunk):
                    yield record
                    continue
                try:
                    inside = breakup_chunk(record, validate_crc=True)
                except Exception:  # fails in whichever library meets the damage
                    damaged += 1
                    continue
                yield from inside
        if damaged:
            raise BagError(f"{damaged} damaged chunks are left out")
