"""What a process is busy with for minutes, told to others on this machine: a file for as long as it lasts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from samlite_ros.segmenter.exported.cache import cache_folder


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Tell for as long as the block lasts; where nothing can be written, nobody is told."""
    path = _folder() / str(os.getpid())
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(what, encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def what_is_done() -> str:
    """What living processes are busy with; empty = nothing."""
    told = []
    with suppress(OSError):
        for path in sorted(_folder().iterdir()):
            if path.name.isdigit() and Path("/proc", path.name).exists():
                told.append(path.read_text("utf-8"))
    return "; ".join(told)


def _folder() -> Path:
    return cache_folder() / "doing"
