"""Memory that both processes of a link see: an image is written into it by one, and read where it is by the other.

A write has a number. The reader says which write nobody refers to any more; until then, because the image is kept or
its pass goes on, nothing else can be written, and images must travel otherwise. That is cheaper than a new block for
each: the kernel fills its pages with zeros, and maps them twice.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NAME = "samlite image"
"""Of the blocks, in /proc/PID/maps."""
ALIGNMENT = 64
"""Of an address that suits every array [bytes]."""


def aligned_bytes(sizes: Sequence[int]) -> int:
    """What parts of these sizes need, each at an address that suits every array [bytes]."""
    return sum(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes)


def cut(block: memoryview, sizes: Sequence[int]) -> list[memoryview]:
    """Parts of these sizes [bytes], each at an address that suits every array if the block's does."""
    parts, at = [], 0
    for size in sizes:
        parts.append(block[at : at + size])
        at += aligned_bytes((size,))
    return parts


class BlockWriter:
    """Owns one block at a time."""

    def __init__(self) -> None:
        self._memory: NDArray[np.uint8] | None = None
        self._written = self._returned = 0

    def write(self, parts: Sequence[memoryview]) -> tuple[int, int | None]:
        """Copy these bytes into the block.

        Args:
            parts: Of bytes.

        Returns:
            The number of this write, 0 where the last one is still referred to; a descriptor of the block where it is
            a new one, which the reader must get, and the caller close.

        Raises:
            OSError: There is no such memory. Nothing was written.
        """
        sizes = [part.nbytes for part in parts]
        memory, descriptor = self._memory, None
        if self._written != self._returned:
            return 0, None
        if memory is None or memory.nbytes < aligned_bytes(sizes):
            memory, descriptor = _new_block(aligned_bytes(sizes))
            self._memory = memory
        for target, part in zip(cut(memory.data, sizes), parts, strict=True):
            np.copyto(np.frombuffer(target, np.uint8), np.frombuffer(part, np.uint8))  # other threads run meanwhile
        self._written += 1
        return self._written, descriptor

    def take_back(self, number: int) -> None:
        """Nobody refers to this write any more."""
        self._returned = number

    def close(self) -> None:
        """Let the block go."""
        self._memory = None


class BlockReader:
    """Sees the writer's newest block."""

    def __init__(self) -> None:
        self._memory: NDArray[np.uint8] | None = None
        self._number = 0
        self._read: weakref.ref[NDArray[np.uint8]] | None = None

    def attach(self, descriptor: int) -> None:
        """From now on writes are in this block; closes the descriptor.

        Raises:
            OSError: It cannot be mapped.
        """
        try:
            self._memory = _mapped(descriptor)
        finally:
            os.close(descriptor)

    def read(self, number: int, sizes: Sequence[int]) -> list[memoryview]:
        """The parts of a write, of these sizes [bytes], without a copy.

        They stay as they are while anything refers to them.

        Raises:
            ValueError: No block was attached.
        """
        if self._memory is None:
            raise ValueError(f"write {number} is in no block")
        whole = self._memory[:]  # lives as long as what refers to this write
        self._number, self._read = number, weakref.ref(whole)
        return cut(whole.data, sizes)

    def done(self) -> int:
        """The number of the last write, if nothing refers to it any more; or else 0."""
        return self._number if self._read is not None and self._read() is None else 0

    def close(self) -> None:
        """Let the block go; what refers to a write keeps that."""
        self._memory = None


def _new_block(size: int) -> tuple[NDArray[np.uint8], int]:
    try:
        descriptor = os.memfd_create(NAME)
    except AttributeError as error:  # Python was built for an older glibc
        raise OSError(str(error)) from None
    try:
        os.posix_fallocate(descriptor, 0, size)  # with ftruncate a lack of memory would be a SIGBUS in the write
        return _mapped(descriptor), descriptor
    except OSError:
        os.close(descriptor)
        raise


def _mapped(descriptor: int) -> NDArray[np.uint8]:
    """All of it, until the array is collected. Writable: preprocessing copies an image that is not."""
    return np.frombuffer(mmap.mmap(descriptor, 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE), np.uint8)
