"""What runs in the network's process: a network that answers the node's requests, one at a time."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from samlite_ros.errors import Cancelled, NetworkError
from samlite_ros.network.link import Link, LinkBrokenError, LinkClosedError
from samlite_ros.network.local import Between, Found, LocalNetwork
from samlite_ros.network.protocol import (
    Call,
    Cancel,
    Decode,
    Embed,
    Failure,
    Forget,
    Load,
    Loaded,
    Reply,
    Request,
    SearchImage,
)
from samlite_ros.segmenter.contract import ImageEmbedding, Segmenter
from samlite_ros.types import Prompt

MOST_TRACEBACKS = 20
"""The traceback of an unexpected error is told once for each place that raises, and no more than so many."""


class NetworkServer:
    """Serves one node.

    Args:
        link: To the node.
        factory: Builds the segmenter of what `Load` carries.
    """

    def __init__(self, link: Link, factory: Callable[[Any], Segmenter]) -> None:
        self._link, self._factory = link, factory
        self._network: LocalNetwork | None = None
        self._kept: dict[int, Any] = {}
        self._cancelled: set[int] = set()
        self._running: list[int] = []
        self._told: set[tuple[str, str, int | None]] = set()

    def run(self) -> None:
        """Answer until the node is gone.

        Raises:
            LinkBrokenError: The node can no longer be understood.
        """
        try:
            while True:
                self._serve_next()
        except LinkBrokenError:
            raise
        except LinkClosedError:
            pass

    def _serve_next(self) -> None:
        message = self._link.receive()
        if isinstance(message, Cancel):
            if message.number in self._running:  # or it was answered meanwhile
                self._cancelled.add(message.number)
            return
        if isinstance(message, Forget):
            if self._network is not None:
                self._network.forget(message.camera)
            return
        for number in message.released:
            self._kept.pop(number, None)
        number = message.number
        self._running.append(number)
        reply = self._reply(message)
        del message  # so that the reply gives its image's shared memory back
        self._running.pop()
        self._cancelled.discard(number)
        self._send(reply)

    def _reply(self, request: Request) -> Reply:
        try:
            value, refused = self._answer(request.number, request.call, request.in_parts)
            return Reply(request.number, value, {prompt: self._failure(error) for prompt, error in refused.items()})
        except LinkClosedError:
            raise
        except Exception as error:  # the node is told
            failure = self._failure(error)
        return Reply(request.number, failure=failure)  # out here no traceback holds the GPU's memory

    def _send(self, reply: Reply) -> None:
        try:
            self._link.send(reply)
        except LinkClosedError:
            raise
        except Exception as error:  # an answer that cannot be pickled
            self._link.send(Reply(reply.number, failure=Failure.of(error)))

    def _answer(self, number: int, call: Call, in_parts: bool) -> tuple[Any, dict[Prompt, Exception]]:
        """The answer as it travels, and the prompts that are refused."""
        if isinstance(call, Load):
            self._network = LocalNetwork(self._factory(call.parameters))
            network = self._network
            return Loaded(network.model_id, network.computes, network.interruptible), {}
        if self._network is None:
            raise ValueError("no network is loaded")
        if isinstance(call, Embed):
            return None, self._network.embed(call.prompts)
        found = self._find(self._network, call, self._between(number) if in_parts else None)
        if isinstance(call, SearchImage):
            self._kept[number] = found.image.features
        return replace(found, image=replace(found.image, features=None), refused={}), found.refused

    def _find(self, network: LocalNetwork, call: SearchImage | Decode, between: Between | None) -> Found:
        if isinstance(call, SearchImage):
            return network.search(call.frame, call.prompts, call.options, between)
        image: ImageEmbedding = replace(call.image, features=self._kept[call.image.features])
        return network.decode(image, call.prompts, call.options, between)

    def _between(self, number: int) -> Between:
        """What this pass calls between its parts: the node may have asked for something meanwhile."""

        def look() -> None:
            while self._link.is_readable(0.0):
                self._serve_next()
            if number in self._cancelled:
                raise Cancelled("the node gave this pass up")

        return look

    def _failure(self, error: Exception) -> Failure:
        """The error as it travels; one that cannot is told here."""
        failure = Failure.of(error)
        if failure.kind is NetworkError:
            self._tell(error)
        return failure

    def _tell(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        told = type(error).__name__, where.filename, where.lineno
        if told not in self._told and len(self._told) < MOST_TRACEBACKS:
            self._told.add(told)
            traceback.print_exception(error, file=sys.stderr)
            sys.stderr.flush()
