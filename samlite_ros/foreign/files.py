"""Files: those that others wrote, regular ones of a bounded size; those that we write, with errors that name them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from samlite_ros.foreign.words import reason

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
        with path.open("rb") as file:
            return read_stream(file, str(path), most_bytes)
    size = check_regular(path)
    if size > most_bytes:
        raise OSError(f"{path} has {size:,} bytes, at most {most_bytes:,} are read")
    with path.open("rb") as file:  # `read` takes the memory that it is told at once
        return file.read(size)


def read_stream(file: BinaryIO, name: str, most_bytes: int) -> bytes:
    """What comes until the end of a stream, which may have none.

    Args:
        file: Such as standard input.
        name: What an error calls it.
        most_bytes: More than these are not read.

    Raises:
        OSError: It cannot be read, or more comes.
    """
    pieces, size = [], 0
    while piece := file.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > most_bytes:
            raise OSError(f"{name} has more bytes than are read, at most {most_bytes:,}")
    return b"".join(pieces)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What fails in here is told with the path, which the system leaves out where a disk is full.

    Raises:
        OSError: Names the path, and says why it cannot be written.
    """
    try:
        yield
    except BrokenPipeError:  # no fault: who reads it has seen enough
        raise
    except OSError as error:
        raise OSError(f"{path} cannot be written: {reason(error)}") from error


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8; raises as `writing` does."""
    with writing(path):
        path.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file; raises as `writing` does."""
    with writing(path):
        path.write_bytes(data)


def make_folder(path: Path) -> None:
    """Make a folder where there is none; raises as `writing` does."""
    with writing(path):
        if path.exists() and not path.is_dir():
            raise OSError("it is a file, expected a folder")
        path.mkdir(parents=True, exist_ok=True)
