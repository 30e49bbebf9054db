"""What a process does with the memory that images and networks give back."""

from __future__ import annotations

import ctypes
import sys

LARGEST_KEPT_BYTES = 32 << 20
"""Blocks up to this size are kept for the next image; the most that every release of glibc accepts."""
MOST_FREE_BYTES = 128 << 20
"""So much free memory at the end of a heap is kept."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> bool:
    """Keep the memory of one image for the next, instead of giving it back to the kernel in between.

    An image passes through several blocks of megabytes, and many phrases through larger ones. glibc maps each anew, and
    the kernel fills its pages with zeros, one fault each: of a raw 1920x1080 image that was two thirds of the CPU time
    that reading it took (docs/performance.md), of eight phrases a fifth.

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
