"""The files of a bag, as long as they are whole: topics and messages in recorded order.

What is damaged is read as far as it goes by `salvage`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

import lz4.frame
from rosbags.interfaces import Qos
from rosbags.rosbag2 import Reader
from zstandard import ZstdDecompressor, ZstdError

from samlite_ros.errors import BagError

STORAGE_SUFFIXES = (".mcap", ".db3")
PACKED_SUFFIX = ".zstd"
"""Follows the storage's own where `ros2 bag` compressed whole files."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LZ4_MAGIC = b"\x04\x22\x4d\x18"


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
        self.path = path
        self._reader = Reader(path)
        self._reader.open()
        self.topics: dict[str, Topic] = {}
        for connection in self._reader.connections:
            known = self.topics.get(connection.topic)
            count = connection.msgcount + (known.message_count if known else 0)
            qos = tuple(getattr(connection.ext, "offered_qos_profiles", ()))
            self.topics[connection.topic] = Topic(connection.topic, connection.msgtype, count, qos, connection.digest)

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in recorded order; a `BagError` at the end where some are missing."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        count = 0
        for connection, log_time_ns, data in self._reader.messages(connections):
            count += 1
            yield RawMessage(connection.topic, connection.msgtype, log_time_ns, decompressed(data))
        missing = self._indexed(topics) - count
        if missing > 0:
            raise BagError(f"{missing} more are in its index, but damaged")

    def _indexed(self, topics: Collection[str]) -> int:
        """How many messages of these topics the files' own indices name; metadata.yaml also counts what got lost."""
        files = getattr(self._reader.storage, "storages", [self._reader.storage])
        return sum(c.msgcount for file in files for c in file.connections if c.topic in topics)

    @property
    def packs_messages(self) -> bool:
        """Each message is compressed, and the metadata says so."""
        return self._reader.compression_mode == "message"

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
