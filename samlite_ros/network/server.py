"""What runs in the network's process: a segmenter that answers the node's requests, one at a time."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from samlite_ros.errors import Cancelled, NetworkError
from samlite_ros.network.link import Link, LinkBrokenError, LinkClosedError
from samlite_ros.network.local import Found, search
from samlite_ros.network.protocol import (
    FOLLOW_UP_S,
    Cancel,
    EmbedImage,
    EmbedPrompts,
    Failure,
    Load,
    Reply,
    Request,
    SearchImage,
)
from samlite_ros.types import PromptEmbedding, Segmenter

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
        self._segmenter: Segmenter | None = None
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

    def _serve_next(self) -> bool:
        """Returns whether the answer makes the node ask for something more."""
        message = self._link.receive()
        if isinstance(message, Cancel):
            if message.number in self._running:  # or it was answered meanwhile
                self._cancelled.add(message.number)
            return False
        for number in message.released:
            self._kept.pop(number, None)
        number = message.number
        self._running.append(number)
        reply = self._reply(message)
        has_sequel = isinstance(message.call, EmbedPrompts) and reply.failure is None
        del message  # so that the reply gives its image's shared memory back
        self._running.pop()
        self._cancelled.discard(number)
        self._send(reply)
        return has_sequel

    def _reply(self, request: Request) -> Reply:
        try:
            return Reply(request.number, self._answer(request))
        except LinkClosedError:
            raise
        except Exception as error:  # the node is told
            failure = Failure.of(error)
            if failure.kind is NetworkError:
                self._tell(error)
        return Reply(request.number, failure=failure)  # out here no traceback holds the GPU's memory

    def _send(self, reply: Reply) -> None:
        try:
            self._link.send(reply)
        except LinkClosedError:
            raise
        except Exception as error:  # an answer that cannot be pickled
            self._link.send(Reply(reply.number, failure=Failure.of(error)))

    def _answer(self, request: Request) -> Any:
        call, number = request.call, request.number
        if isinstance(call, Load):
            self._segmenter = self._factory(call.parameters)
            return self._segmenter.model_id
        if self._segmenter is None:
            raise ValueError("no network is loaded")
        if isinstance(call, EmbedPrompts):
            return self._keep(number, self._segmenter.embed_prompts(call.prompts))
        if isinstance(call, EmbedImage):
            on_block = self._between(number) if call.in_blocks else None
            return self._keep(number, self._segmenter.embed_image(call.frame, on_block))
        if isinstance(call, SearchImage):
            return self._search(self._segmenter, number, call)
        image = replace(call.image, features=self._kept[call.image.features])
        return self._segmenter.segment(image, self._whole(call.prompts), call.options)

    def _search(self, segmenter: Segmenter, number: int, call: SearchImage) -> Found:
        between = self._between(number) if call.in_parts else None
        found = search(segmenter, call.frame, self._whole(call.prompts), call.options, between)
        return replace(found, image=self._keep(number, found.image))

    def _whole(self, prompts: PromptEmbedding) -> PromptEmbedding:
        """With its features instead of their number."""
        return replace(prompts, features=self._kept[prompts.features])

    def _keep(self, number: int, embedding: Any) -> Any:
        """Keep the features; returns the embedding without them."""
        self._kept[number] = embedding.features
        return replace(embedding, features=None)

    def _between(self, number: int) -> Callable[[], None]:
        """What this pass calls between its blocks: the node may have asked for something meanwhile."""

        def look() -> None:
            patience_s = 0.0
            while self._link.is_readable(patience_s):
                patience_s = FOLLOW_UP_S if self._serve_next() else 0.0
            if number in self._cancelled:
                raise Cancelled("the node gave this pass up")

        return look

    def _tell(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        told = type(error).__name__, where.filename, where.lineno
        if told not in self._told and len(self._told) < MOST_TRACEBACKS:
            self._told.add(told)
            traceback.print_exception(error, file=sys.stderr)
            sys.stderr.flush()
