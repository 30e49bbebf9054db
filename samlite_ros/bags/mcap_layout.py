"""Which messages does an mcap file hold, told by walking over its records without reading what is in them?"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mcap.opcode import Opcode

_MAGIC_SIZE = 8
_HEAD = struct.Struct("<BQ")  # opcode and length of a record
_INDEX_HEAD = struct.Struct("<HI")  # of a message index: channel and bytes that follow
_INDEX_ENTRY_SIZE = 16
_CHUNK_OFFSET_AT = 16  # in a chunk index: behind the first and the last time
_OFFSETS_AT = 32


class _Record(NamedTuple):
    opcode: int
    start: int
    length: int


def index_of_mcap(path: Path) -> Counter[int] | None:
    """Count the messages that are in the file's index, which is optional, as are parts of it.

    Args:
        path: An mcap file.

    Returns:
        Messages by channel; None = some lie outside chunks, or in chunks whose messages no index names, or in chunks
        that the summary does not name: only reading all of it tells what is in it.

    Source: mcap.dev/spec: a chunk is followed by its message indexes; the summary has a chunk index for each.
    """
    counts: Counter[int] = Counter()
    channels: dict[int, set[int]] = {}
    summary: dict[int, set[int]] = {}
    chunk = -1
    with path.open("rb") as file:
        for opcode, start, _ in _records(file, path.stat().st_size):
            if opcode == Opcode.MESSAGE:
                return None
            if opcode == Opcode.CHUNK:
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


def _records(file: BinaryIO, size: int) -> Iterator[_Record]:
    """Records one after the other, the file standing behind the head of each; up to the footer."""
    at = _MAGIC_SIZE
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
    return place, {channel for channel, _ in struct.iter_unpack("<HQ", file.read(size // 10 * 10))}
