"""How the node and the network's process send each other messages: pickled, large arrays beside it or shared.

An image is written into memory that both see by one, and read where it is by the other. A write has a number. The
reader says which write nobody refers to any more; until then, because the image is kept or its pass goes on, nothing
else can be written, and images must travel otherwise. That is cheaper than a new block for each: the kernel fills its
pages with zeros, and maps them twice.

`multiprocessing` has both parts. A 640 x 480 image there and five masks back take 0.42 ms through its Connection,
0.11 ms with its SharedMemory beside that, and 0.13 ms here; but its blocks have names, need one more process that
watches over them, and do not say when they may be written again.
"""

from __future__ import annotations

import mmap
import os
import pickle
import select
import socket
import struct
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

BESIDE_BYTES = 1 << 14
"""Arrays of this size and more are not copied into the pickle."""
SHARED_BYTES = 1 << 16
"""Arrays of a message that are this large together go through shared memory, if the link has any."""
NAME = "samlite image"
"""Of the blocks, in /proc/PID/maps."""
ALIGNMENT = 64
"""Of an address that suits every array [bytes]."""
_MOST_PARTS = 512  # of one sendmsg; Linux takes 1024
_ANCILLARY_BYTES = socket.CMSG_SPACE(4)  # one descriptor
_RECEIVE = int(socket.MSG_WAITALL | socket.MSG_CMSG_CLOEXEC)
_PREFIX = struct.Struct("<QI?QQ")  # bytes of the pickle; arrays beside it; the descriptor of a block comes with this;
# number of the write that has the arrays, 0 = they come after the pickle; number of the write that was read to the end


def is_closed(connection: socket.socket) -> bool:
    """Whether nobody is at the other end any more."""
    poll = select.poll()
    try:
        poll.register(connection, 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # this end is closed
        return True


class Bell:
    """Wakes a thread that waits in a poll; Linux only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """What the poll waits for."""
        return self._descriptor

    def ring(self) -> None:
        """Wake the thread, now or when it waits next; may be called from any thread, also when closed."""
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def silence(self) -> None:
        """The thread is awake."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)

    def close(self) -> None:
        """Ring no more."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1


class LinkClosedError(Exception):
    """The other side is gone."""


class LinkBrokenError(LinkClosedError):
    """Shared memory that the other side sent cannot be had; nothing more can be understood."""


class Link:
    """One end of a connection; each end is used from one thread.

    Args:
        connection: A connected Unix stream socket; the link owns it.
        shares: Large arrays are sent through shared memory, where there is such memory.
        bell: Ends a wait in `is_readable`; the link owns it.
    """

    def __init__(self, connection: socket.socket, shares: bool = False, bell: Bell | None = None) -> None:
        self._connection, self._bell = connection, bell
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        if bell is not None:
            self._poll.register(bell, select.POLLIN)
        self._writer = BlockWriter() if shares else None
        self._reader = BlockReader()

    def send(self, message: object) -> None:
        """Send one message.

        Raises:
            LinkClosedError: Nobody will read it.
        """
        beside: list[memoryview] = []

        def goes_in(buffer: pickle.PickleBuffer) -> bool:
            view = buffer.raw()
            if view.nbytes < BESIDE_BYTES:
                return True
            beside.append(view)
            return False

        head = pickle.dumps(message, protocol=5, buffer_callback=goes_in)
        sizes = [part.nbytes for part in beside]
        write, descriptor = self._share(beside)
        prefix = _PREFIX.pack(len(head), len(sizes), descriptor is not None, write, self._reader.done())
        first = memoryview(b"".join((prefix, struct.pack(f"<{len(sizes)}Q", *sizes), head)))
        try:
            self._send_parts([first] if write else [first, *beside], descriptor)
        except OSError as error:
            raise LinkClosedError(str(error)) from None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def receive(self) -> Any:
        """Wait for one message.

        Its arrays own no memory: those of one message share it, and it is theirs while any of them lives.

        Raises:
            LinkClosedError: There will be none.
            LinkBrokenError: Its shared memory cannot be had.
        """
        try:
            prefix, descriptor = self._read_prefix()
            head_bytes, count, has_block, write, done = _PREFIX.unpack(prefix)
            first = self._read(8 * count + head_bytes)
            sizes = struct.unpack_from(f"<{count}Q", first)
            beside = self._read_parts(sizes) if sizes and not write else []
        except OSError as error:
            raise LinkClosedError(str(error)) from None
        if done and self._writer is not None:
            self._writer.take_back(done)
        if write:
            beside = self._read_shared(write, sizes, has_block, descriptor)
        return pickle.loads(first[8 * count :], buffers=beside)

    def is_readable(self, timeout_s: float) -> bool:
        """Whether something came, or the other side is gone; waits so long for it [s], or until the bell rings."""
        ready = [descriptor for descriptor, _ in self._poll.poll(1e3 * timeout_s)]
        if self._bell is not None and self._bell.fileno() in ready:
            self._bell.silence()
        return self._connection.fileno() in ready

    def wake(self) -> None:
        """Ring the bell; may be called from any thread."""
        if self._bell is not None:
            self._bell.ring()

    def is_closed(self) -> bool:
        """Whether the other side is gone; may be called from any thread."""
        return is_closed(self._connection)

    def close(self) -> None:
        """Leave, and let the shared memory go."""
        self._connection.close()
        if self._bell is not None:
            self._bell.close()
        self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def _share(self, beside: list[memoryview]) -> tuple[int, int | None]:
        """As `BlockWriter.write`; the number 0 where the arrays must go over the socket."""
        if self._writer is None or sum(part.nbytes for part in beside) < SHARED_BYTES:
            return 0, None
        try:
            return self._writer.write(beside)
        except OSError:  # no memfd here, or no memory
            return 0, None

    def _send_parts(self, parts: list[memoryview], descriptor: int | None) -> None:
        sent = 0
        if descriptor is not None:
            sent = socket.send_fds(self._connection, parts[:1], [descriptor])
        while True:
            while parts and sent >= parts[0].nbytes:
                sent -= parts.pop(0).nbytes
            if not parts:
                return
            parts[0] = parts[0][sent:]
            sent = self._connection.sendmsg(parts[:_MOST_PARTS])

    def _read_prefix(self) -> tuple[bytes, int | None]:
        """And the descriptor that came with its first byte, which a plain recv would lose."""
        prefix, ancillary, _, _ = self._connection.recvmsg(_PREFIX.size, _ANCILLARY_BYTES, _RECEIVE)
        if len(prefix) < _PREFIX.size:
            prefix += self._read(_PREFIX.size - len(prefix))
        return prefix, struct.unpack("i", ancillary[0][2])[0] if ancillary else None

    def _read(self, size: int) -> memoryview:
        buffer = np.empty(size, np.uint8).data  # unlike bytearray's, not filled with zeros first
        self._fill(buffer)
        return buffer

    def _read_parts(self, sizes: Sequence[int]) -> list[memoryview]:
        """Into one block, each part at an address that suits every array."""
        block = np.empty(aligned_bytes(sizes) + ALIGNMENT, np.uint8).data
        at = -np.frombuffer(block, np.uint8).ctypes.data % ALIGNMENT
        parts = cut(block[at:], sizes)
        for part in parts:
            self._fill(part)
        return parts

    def _read_shared(
        self, write: int, sizes: Sequence[int], has_block: bool, descriptor: int | None
    ) -> list[memoryview]:
        try:
            if has_block:
                if descriptor is None:
                    raise OSError("its descriptor did not arrive: too many files are open")
                self._reader.attach(descriptor)
            return self._reader.read(write, sizes)
        except (OSError, ValueError) as error:
            raise LinkBrokenError(f"shared memory of an image: {error}") from None

    def _fill(self, buffer: memoryview) -> None:
        while buffer:
            got = self._connection.recv_into(buffer, 0, socket.MSG_WAITALL)
            if got == 0:
                raise LinkClosedError("the connection has ended")
            buffer = buffer[got:]


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
