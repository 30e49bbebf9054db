"""Compressed bytes unpacked within limits: a thousand of them may stand for as many gigabytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import lz4.frame
import zstandard
from zstandard import ZstdDecompressor, ZstdError

from samlite_ros.errors import BagError
from samlite_ros.foreign.limits import DISK_RESERVE_BYTES, MESSAGE_BYTES, MIB, PACKED_FREE_BYTES, PACKED_GROWTH
from samlite_ros.foreign.words import one_line

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LZ4_MAGIC = b"\x04\x22\x4d\x18"
_WINDOW_BYTES = 128 * MIB
"""What zstd looks back on at most: `zstd --long` takes as much."""
_PIECE = MIB


def unpacked(data: bytes, most_bytes: int = MESSAGE_BYTES) -> bytes:
    """What zstd or lz4 packed, by its first bytes; other bytes as they are.

    Raises:
        BagError: It is damaged, or grows beyond the limit.
    """
    try:
        if data[:4] == ZSTD_MAGIC:
            return _unzstd(data, most_bytes)
        if data[:4] == LZ4_MAGIC:
            return _unlz4(data, most_bytes)
    except (EOFError, MemoryError, RuntimeError, ValueError, ZstdError) as error:
        raise BagError(f"{len(data)} compressed bytes are damaged: {one_line(error)}") from error
    return bytes(data)


def promised_size(data: bytes) -> int:
    """What zstd says that its bytes become; -1 = it does not say, or there is more than one frame of it."""
    try:
        size = zstandard.get_frame_parameters(data).content_size
    except (ValueError, ZstdError):
        return -1
    return int(size) if size not in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR) else -1


def _unzstd(data: bytes, most_bytes: int) -> bytes:
    if promised_size(data) > most_bytes:
        raise _too_large(data, most_bytes)
    pieces, size = [], 0
    with ZstdDecompressor(max_window_size=_WINDOW_BYTES).stream_reader(data) as reader:
        while piece := reader.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most_bytes:
                raise _too_large(data, most_bytes)
    whole = promised_size(data)
    if size < whole or not size:
        raise ZstdError(f"cut off after {size} bytes")
    return b"".join(pieces)


def _unlz4(data: bytes, most_bytes: int) -> bytes:
    unpacker = lz4.frame.LZ4FrameDecompressor()
    pieces, size, source = [], 0, data
    while not unpacker.eof:
        piece = unpacker.decompress(source, max_length=_PIECE)
        source = b""
        pieces.append(piece)
        size += len(piece)
        if size > most_bytes:
            raise _too_large(data, most_bytes)
        if not piece and unpacker.needs_input:
            raise EOFError(f"cut off after {size} bytes")
    return b"".join(pieces)


def _too_large(data: bytes, most_bytes: int) -> BagError:
    return BagError(f"{len(data)} compressed bytes become more than the {most_bytes:,} that are taken at most")


def unpack_file(path: Path) -> tuple[TemporaryDirectory[str], Path, str]:
    """Unpack a storage file that was compressed as a whole, as far as it goes.

    Returns:
        The folder that it is in, to be left by its owner; the file: cut where the packed one is, or where it would be
        too large; and why it was cut there, empty = it was not.
    """
    folder = TemporaryDirectory(prefix="samlite_bag_")
    target = Path(folder.name, path.stem)
    room = shutil.disk_usage(folder.name).free - DISK_RESERVE_BYTES
    most_bytes = min(max(PACKED_GROWTH * path.stat().st_size, PACKED_FREE_BYTES), room)
    size = 0
    try:
        with path.open("rb") as packed, target.open("wb") as file:
            reader = ZstdDecompressor(max_window_size=1 << 31).stream_reader(packed, read_across_frames=True)
            while piece := reader.read(_PIECE):
                size += len(piece)
                if size > most_bytes:
                    return folder, target, f"it becomes more than {most_bytes:,} bytes: only these are read"
                file.write(piece)
    except ZstdError:  # damaged: what lies before counts
        pass
    except OSError as error:
        folder.cleanup()
        raise BagError(f"{path} cannot be unpacked: {one_line(error)}") from error
    return folder, target, ""
