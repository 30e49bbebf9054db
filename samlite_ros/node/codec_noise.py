"""What codecs write to standard error by themselves: a line for each damaged image, which nothing could throttle."""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
_KEPT_AT_MOST = 2**20
_SAID = re.compile(
    rb"(?:Corrupt JPEG data: (?:premature end of data segment|bad \w+ code|\d+ extraneous bytes before marker 0x\w\w"
    rb"|found marker 0x\w\w instead of RST\d)|Premature end of JPEG (?:file|input)|Invalid SOS parameters[^\n]*"
    rb"|Unsupported marker[^\n]*|libpng (?:warning|error): [^\n]*|TIFF\w+: [^\n]*)\n?"
)
"""Of libjpeg, libpng and libtiff. What it means for an image is told and counted where it is refused."""


class CodecNoise:
    """Takes standard error's place while images are decoded, and hands on what others wrote meanwhile.

    Python cannot reach the codecs' own handlers. Several threads may decode at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside, self._kept, self._stderr, self._read = 0, -1, -1, 0

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Decode within it."""
        if not hasattr(os, "memfd_create"):  # not Linux
            yield
            return
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._begin()
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._end()

    def _begin(self) -> None:
        if self._kept < 0:
            self._kept = os.memfd_create("codec noise")
            # without it two threads that write at once may take the same place: the kernel guards no memfd's offset
            fcntl.fcntl(self._kept, fcntl.F_SETFL, os.O_APPEND)
        self._stderr = os.dup(STDERR)
        os.dup2(self._kept, STDERR)

    def _end(self) -> None:
        os.dup2(self._stderr, STDERR)
        os.close(self._stderr)
        # what a writer of before adds behind it, or a child started meanwhile, is read at the next end
        if unread := os.fstat(self._kept).st_size - self._read:
            others = _SAID.sub(b"", os.pread(self._kept, unread, self._read))
            self._read += unread
            if others:
                os.write(STDERR, others)
        if self._read > _KEPT_AT_MOST:
            os.ftruncate(self._kept, 0)
            self._read = 0


CODEC_NOISE = CodecNoise()
"""Of the process, as its standard error is."""
