"""Which messages does an mcap file hold, told by walking over its records without reading what is in them?"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mcap.opcode import Opcode

from samlite_ros.bags.unpacking import promised_size
from samlite_ros.foreign.limits import CHUNK_BYTES, RECORD_BYTES

_MAGIC = b"\x89MCAP0\r\n"
_NO_OPCODE = 0  # zeros would be a record every nine bytes
_HEAD = struct.Struct("<BQ")  # opcode and length of a record
_INDEX_HEAD = struct.Struct("<HI")  # of a message index: channel and bytes that follow
_INDEX_ENTRY_SIZE = 16
_CHUNK_OFFSET_AT = 16  # in a chunk index: behind the first and the last time
_OFFSETS_AT = 32
_CHUNK_HEAD = struct.Struct("<16xQII")  # behind its times: size of what is in it, checksum, length of the codec's name
_LONGEST_NAME, _ZSTD_HEAD, _LZ4_GROWTH = 16, 18, 255
_SMALL = {*Opcode} - {Opcode.MESSAGE, Opcode.CHUNK, Opcode.ATTACHMENT}
"""What lies in records that are read whole."""


class _Record(NamedTuple):
    opcode: int
    start: int
    length: int


def index_of_mcap(path: Path) -> Counter[int] | None:
    """Count the messages that are in the file's index, which is optional, as are parts of it.

    Args:
        path: An mcap file.

    Returns:
        Messages by channel; None = it is no mcap file, or some lie outside chunks, or in chunks whose messages no index
        names, or in chunks that the summary does not name: only reading all of it tells what is in it. Also where a
        record is larger than any that is taken, or a chunk may become so.

    Source: mcap.dev/spec: a chunk is followed by its message indexes; the summary has a chunk index for each.
    """
    counts: Counter[int] = Counter()
    channels: dict[int, set[int]] = {}
    summary: dict[int, set[int]] = {}
    chunk = -1
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
        for opcode, start, length in _records(file, path.stat().st_size):
            if opcode in (_NO_OPCODE, Opcode.MESSAGE) or (opcode in _SMALL and length > RECORD_BYTES):
                return None
            if opcode == Opcode.CHUNK:
                if not _is_bounded(file, length):
                    return None
                chunk = start
                channels[chunk] = set()
            elif opcode == Opcode.MESSAGE_INDEX:
                channel, size = _INDEX_HEAD.unpack(file.read(_INDEX_HEAD.size))
                counts[channel] += size // _INDEX_ENTRY_SIZE
                channels.setdefault(chunk, set()).update([channel] if size else [])
            elif opcode == Opcode.CHUNK_INDEX:
                place, named = _chunk_index(file)
                summary[place] = named
    return counts if channels == summary and all(channels.values()) else None


def _is_bounded(file: BinaryIO, length: int) -> bool:
    """A chunk says what it becomes when it is unpacked, and keeps to it."""
    head = file.read(_CHUNK_HEAD.size)
    size, _, name_length = _CHUNK_HEAD.unpack(head)
    if size > CHUNK_BYTES or name_length > _LONGEST_NAME:
        return False
    compression = file.read(name_length)
    (packed,) = struct.unpack("<Q", file.read(8))
    if packed > length:
        return False
    if compression == b"zstd":
        return bool(promised_size(file.read(_ZSTD_HEAD)) == size)
    return bool(packed * _LZ4_GROWTH <= CHUNK_BYTES if compression == b"lz4" else not compression)


def _records(file: BinaryIO, size: int) -> Iterator[_Record]:
    """Records one after the other, the file standing behind the head of each; up to the footer."""
    at = len(_MAGIC)
    while at + _HEAD.size <= size:
        file.seek(at)
        opcode, length = _HEAD.unpack(file.read(_HEAD.size))
        yield _Record(opcode, at, length)
        if opcode == Opcode.FOOTER:
            return
        at += _HEAD.size + length


def _chunk_index(file: BinaryIO) -> tuple[int, set[int]]:
    """Where a chunk begins, and the channels that it has indexes for."""
    head = file.read(_OFFSETS_AT + 4)
    (place,) = struct.unpack_from("<Q", head, _CHUNK_OFFSET_AT)
    (size,) = struct.unpack_from("<I", head, _OFFSETS_AT)
    return place, {channel for channel, _ in struct.iter_unpack("<HQ", file.read(min(size, RECORD_BYTES) // 10 * 10))}
