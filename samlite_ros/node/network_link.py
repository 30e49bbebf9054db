"""What the node and the network's process say to each other, and how: pickled, large arrays beside it as they are."""

from __future__ import annotations

import pickle
import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samlite_ros.errors import NetworkError, SamliteError
from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, TextEmbedding

BESIDE_BYTES = 1 << 14
"""Arrays of this size and more are not copied into the pickle."""
_ALIGNMENT = 64
_MOST_PARTS = 512  # of one sendmsg; Linux takes 1024


@dataclass(frozen=True)
class Load:
    """Build the segmenter; the answer is `Loaded`.

    Args:
        parameters: What the factory takes.
    """

    parameters: Any


@dataclass(frozen=True)
class Loaded:
    """Of a segmenter.

    Args:
        model_id: Its.
        decodes_in_steps: Its `segment` takes `on_step`.
    """

    model_id: str
    decodes_in_steps: bool


@dataclass(frozen=True)
class EmbedText:
    """The answer is the embedding without its features, which are kept under the request's number."""

    phrases: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EmbedImage:
    """The answer is the embedding without its features, which are kept under the request's number.

    Args:
        frame: The frame.
        in_blocks: Requests may be answered between two blocks.
    """

    frame: Frame
    in_blocks: bool


@dataclass(frozen=True, eq=False)
class Segment:
    """The answer is a list of `PhraseResult`.

    Args:
        image, text: With the numbers of the requests that made them for features.
        options: One per phrase.
        in_steps: Requests may be answered between two layers.
    """

    image: ImageEmbedding
    text: TextEmbedding
    options: tuple[DecodeOptions, ...]
    in_steps: bool


@dataclass(frozen=True, eq=False)
class Request:
    """From the node.

    Args:
        number: Names it.
        call: What is wanted.
        released: Numbers of embeddings that are no longer wanted.
    """

    number: int
    call: Load | EmbedText | EmbedImage | Segment
    released: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cancel:
    """From the node: end this request's pass between two blocks; it is answered with `Cancelled`, or as it was."""

    number: int


@dataclass(frozen=True, eq=False)
class Reply:
    """From the network's process.

    Args:
        number: The request's.
        value: Its answer, or
        failure: what was raised.
    """

    number: int
    value: Any = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Failure:
    """An exception that can travel: exceptions whose arguments are not their message's cannot be pickled.

    Args:
        kind: Its class.
        arguments, state: What it carries.
    """

    kind: type[Exception]
    arguments: tuple[Any, ...]
    state: dict[str, Any]

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Kinds of `samlite_ros.errors` and ValueError as themselves, others as a `NetworkError` that names theirs."""
        if type(error) is ValueError or (isinstance(error, SamliteError) and _is_known(type(error))):
            failure = cls(type(error), error.args, dict(vars(error)))
            try:
                pickle.dumps(failure)
                return failure
            except Exception:  # of whatever it carries only the text can travel
                return cls(type(error), (str(error),), {})
        return cls(NetworkError, (f"{type(error).__name__}: {error}",), {})

    def exception(self) -> Exception:
        """The exception, without its traceback."""
        error = self.kind.__new__(self.kind)
        error.args = self.arguments
        vars(error).update(self.state)
        return error


def _is_known(kind: type[Exception]) -> bool:
    return kind.__module__ == SamliteError.__module__


def is_closed(connection: socket.socket) -> bool:
    """Whether nobody is at the other end any more."""
    poll = select.poll()
    try:
        poll.register(connection, 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # this end is closed
        return True


class LinkClosedError(Exception):
    """The other side is gone."""


class Link:
    """One end of a connection; each end is used from one thread.

    Args:
        connection: A connected stream socket; the link owns it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

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
        parts = [memoryview(head), *beside]
        sizes = [part.nbytes for part in parts]
        prefix = struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)
        try:
            self._send_parts([memoryview(prefix), *parts])
        except OSError as error:
            raise LinkClosedError(str(error)) from None

    def receive(self) -> Any:
        """Wait for one message.

        Its arrays own no memory: those of one message share it.

        Raises:
            LinkClosedError: There will be none.
        """
        try:
            (count,) = struct.unpack("<I", self._read(4))
            head, *beside = self._read_parts(struct.unpack(f"<{count}Q", self._read(8 * count)))
        except OSError as error:
            raise LinkClosedError(str(error)) from None
        return pickle.loads(head, buffers=beside)

    def is_readable(self, timeout_s: float) -> bool:
        """Whether something came, or the other side is gone; waits so long for it [s]."""
        return bool(self._poll.poll(1e3 * timeout_s))

    def is_closed(self) -> bool:
        """Whether the other side is gone; may be called from any thread."""
        return is_closed(self._connection)

    def close(self) -> None:
        """Leave."""
        self._connection.close()

    def _send_parts(self, parts: list[memoryview]) -> None:
        while parts:
            sent = self._connection.sendmsg(parts[:_MOST_PARTS])
            while parts and sent >= parts[0].nbytes:
                sent -= parts.pop(0).nbytes
            if sent:
                parts[0] = parts[0][sent:]

    def _read(self, size: int) -> memoryview:
        buffer = np.empty(size, np.uint8).data  # unlike bytearray's, not filled with zeros first
        self._fill(buffer)
        return buffer

    def _read_parts(self, sizes: Sequence[int]) -> list[memoryview]:
        """Into one block, each part at an address that suits every array."""
        steps = [-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes]
        block = np.empty(sum(steps) + _ALIGNMENT, np.uint8).data
        at = -np.frombuffer(block, np.uint8).ctypes.data % _ALIGNMENT
        parts = []
        for size, step in zip(sizes, steps, strict=True):
            parts.append(block[at : at + size])
            self._fill(parts[-1])
            at += step
        return parts

    def _fill(self, buffer: memoryview) -> None:
        while buffer:
            got = self._connection.recv_into(buffer, 0, socket.MSG_WAITALL)
            if got == 0:
                raise LinkClosedError("the connection has ended")
            buffer = buffer[got:]
