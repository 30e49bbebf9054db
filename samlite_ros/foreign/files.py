"""Files that others wrote: regular ones, of a bounded size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_STREAMS = "/proc/"
"""What /dev/stdin and <(...) of a shell lead to."""
_PIECE = 1 << 20


def check_regular(path: Path) -> int:
    """Make sure that reading a file neither waits for another program nor goes on for ever.

    Returns:
        Its size [bytes].

    Raises:
        OSError: It is no regular file, or is not there.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(found.st_mode), "a device")
        raise OSError(f"{path} is {kind}, expected a file")
    return found.st_size


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """What is in a file.

    Args:
        path: A regular file; or what a shell hands over, such as /dev/stdin.
        most_bytes: Its largest size.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger.
    """
    if os.path.realpath(path).startswith(_STREAMS):
        return _read_stream(path, most_bytes)
    size = check_regular(path)
    if size > most_bytes:
        raise _too_large(path, size, most_bytes)
    with path.open("rb") as file:  # `read` takes the memory that it is told at once
        return file.read(size)


def _read_stream(path: Path, most_bytes: int) -> bytes:
    pieces, size = [], 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most_bytes:
                raise _too_large(path, size, most_bytes)
    return b"".join(pieces)


def _too_large(path: Path, size: int, most_bytes: int) -> OSError:
    return OSError(f"{path} has {size:,} bytes, at most {most_bytes:,} are read")
