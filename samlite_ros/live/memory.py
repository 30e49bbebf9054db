"""Memory of a process: how much it has; for the node, keeping what images gave back, and not searching what stays."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

LARGEST_KEPT_BYTES = 32 << 20
"""Blocks up to this size are kept for the next image; the most that every release of glibc accepts."""
MOST_FREE_BYTES = 128 << 20
"""So much free memory at the end of a heap is kept."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> bool:
    """Keep the memory of one image for the next, instead of giving it back to the kernel in between.

    An image passes through several blocks of megabytes. glibc maps each anew, and the kernel fills its pages with
    zeros, one fault each: of a raw 1920x1080 image that was two thirds of the CPU time that reading it took
    (docs/performance.md).

    Returns:
        Whether the C library could be told; False where it is not glibc.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES) and mallopt(_M_TRIM_THRESHOLD, MOST_FREE_BYTES))


def settle_memory() -> None:
    """From now on garbage is looked for only among what is made after this: what a node keeps, ROS and OpenCV included,
    are 70,000 objects, and to go through them stops every thread for 15 ms, or a frame's half time."""
    gc.collect()
    gc.freeze()


def resident_mib(pid: int | str = "self") -> float:
    """Resident memory of a process [MiB]."""
    return _status_mib(pid, "VmRSS:")


def peak_mib(pid: int | str = "self") -> float:
    """The most resident memory that a process had [MiB]."""
    return _status_mib(pid, "VmHWM:")


def is_stopped(pid: str) -> bool:
    """Whether a process was stopped by a signal or a debugger; False where there is none of this number."""
    try:
        return pid.isdigit() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:
        return False


def _status_mib(pid: int | str, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/{pid}/status has no {name}")
