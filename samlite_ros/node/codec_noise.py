"""What codecs write to standard error by themselves: a line for each damaged image, which nothing could throttle."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
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
        self._inside, self._kept, self._stderr = 0, -1, -1

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
        self._stderr = os.dup(STDERR)
        os.dup2(self._kept, STDERR)

    def _end(self) -> None:
        os.dup2(self._stderr, STDERR)
        size = os.lseek(self._kept, 0, os.SEEK_CUR)
        if size:
            others = _SAID.sub(b"", os.pread(self._kept, size, 0))
            os.lseek(self._kept, 0, os.SEEK_SET)
            if others:
                os.write(STDERR, others)
        os.close(self._stderr)


CODEC_NOISE = CodecNoise()
"""Of the process, as its standard error is."""
