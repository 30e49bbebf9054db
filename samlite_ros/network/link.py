"""What the node and the network's process say to each other, and how: pickled, large arrays beside it or shared."""

from __future__ import annotations

import os
import pickle
import select
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from samlite_ros.network.shared_block import ALIGNMENT, BlockReader, BlockWriter, aligned_bytes, cut

BESIDE_BYTES = 1 << 14
"""Arrays of this size and more are not copied into the pickle."""
SHARED_BYTES = 1 << 16
"""Arrays of a message that are this large together go through shared memory, if the link has any."""
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
