"""The network in another process, as a segmenter of this one."""

from __future__ import annotations

import itertools
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from samlite_ros.errors import NetworkEndedError
from samlite_ros.network.link import Link, LinkClosedError
from samlite_ros.network.local import Found
from samlite_ros.network.protocol import (
    Call,
    Cancel,
    EmbedImage,
    EmbedPrompts,
    Load,
    Reply,
    Request,
    SearchImage,
    Segment,
)
from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, Prompt, PromptEmbedding, PromptResult

LOOK_S = 0.05
"""While the network computes, `on_block` and `on_part` are called so often [s], and when `look` is called. The network
does not wait for them."""


class KeptFeatures:
    """Features of an embedding that are kept in the network's process, until this object is collected.

    Args:
        owner: Whose process it is.
        number: Of the request that made them.
    """

    def __init__(self, owner: RemoteSegmenter, number: int) -> None:
        self.owner, self.number = owner, number


class RemoteSegmenter:
    """Answers by asking the network's process. Implements `samlite_ros.types.Segmenter`; used from one thread.

    `on_block` and `on_part` are called on the caller's thread while the network computes. What they ask of this
    segmenter is answered between two blocks; what they raise ends the pass there, and is raised here at once.

    Every call raises NetworkEndedError where the process has ended, ValueError and the kinds of `samlite_ros.errors` as
    they were raised there, and NetworkError with the text of any other exception.

    Args:
        link: To the network's process.
        pid: Of that process.
        end: Ends that process; returns how it ended, in words.
        parameters: What its factory takes.

    Raises:
        NetworkEndedError, ValueError, SamliteError, NetworkError: It could not load.
    """

    interruptible = False

    def __init__(self, link: Link, pid: int, end: Callable[[], str], parameters: object) -> None:
        self.pid = pid
        self._link, self._end = link, end
        self._ended = ""
        self._numbers = itertools.count(1)
        self._running = 0
        self._replies: dict[int, Reply] = {}
        self._abandoned: set[int] = set()
        self._released: deque[int] = deque()
        self._last_prompts: PromptEmbedding | None = None
        self._model_id: str = self._answer(Load(parameters)).value

    @property
    def model_id(self) -> str:
        """Names the weights."""
        return self._model_id

    @property
    def is_alive(self) -> bool:
        """Whether the network's process still runs; may be asked from any thread."""
        return not self._ended and not self._link.is_closed()

    def look(self) -> None:
        """Have `on_block` or `on_part` called at once, where a pass is running; may be called from any thread."""
        self._link.wake()

    def check(self) -> None:
        """Notice the end of the network's process.

        Raises:
            NetworkEndedError: It has ended.
        """
        if not self.is_alive:
            raise self._lost()

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptEmbedding:
        """See `samlite_ros.types.Segmenter`; the same prompts as last time are not asked for again."""
        wanted = tuple(prompts)
        embedding = self._last_prompts
        if embedding is None or embedding.prompts != wanted:
            embedding = self._last_prompts = self._embedding(self._answer(EmbedPrompts(wanted)))
        return embedding

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """See `samlite_ros.types.Segmenter`."""
        return self._embedding(self._answer(EmbedImage(frame, on_block is not None), on_block))

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """See `samlite_ros.types.Segmenter`; `on_step` is not called: what others may interrupt is done by `search`."""
        wanted = Segment(self._numbered(image), self._numbered(prompts), tuple(options))
        results: list[PromptResult] = self._answer(wanted).value
        return results

    def search(
        self,
        frame: Frame,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_part: Callable[[], None] | None,
    ) -> Found:
        """`embed_image` and `segment` in one, which spares a way to the process and back.

        `on_part` is called meanwhile as `on_block` is.
        """
        reply = self._answer(SearchImage(frame, self._numbered(prompts), tuple(options), on_part is not None), on_part)
        found: Found = reply.value
        return replace(found, image=replace(found.image, features=self._kept(reply.number)))

    def close(self) -> None:
        """End the network's process, whatever it does."""
        if not self._ended:
            self._finish()
            self._ended = "the network was let go"

    def _embedding(self, reply: Reply) -> Any:
        return replace(reply.value, features=self._kept(reply.number))

    def _kept(self, number: int) -> KeptFeatures:
        kept = KeptFeatures(self, number)
        weakref.finalize(kept, self._released.append, number).atexit = False
        return kept

    def _numbered(self, embedding: Any) -> Any:
        """The embedding as it travels.

        Raises:
            ValueError: Its features are not in this network's process.
        """
        kept = embedding.features
        if not isinstance(kept, KeptFeatures) or kept.owner is not self:
            raise ValueError(f"the features of {embedding!r} are not in this network's process")
        return replace(embedding, features=kept.number)

    def _answer(self, call: Call, between: Callable[[], None] | None = None) -> Reply:
        """The network's answer; may be called again by `between`."""
        number = next(self._numbers)
        self._running += 1
        try:
            self._ask(number, call)
            reply = self._wait(number, between)
        except LinkClosedError:
            raise self._lost() from None
        finally:
            self._running -= 1
        if reply.failure is not None:
            raise reply.failure.exception()
        return reply

    def _ask(self, number: int, call: Call) -> None:
        if self._ended:
            raise NetworkEndedError(self._ended)
        while self._abandoned and self._running == 1:  # or both sides might wait for the other to read
            self._receive()
        released = tuple(self._released.popleft() for _ in range(len(self._released)))
        self._link.send(Request(number, call, released))

    def _wait(self, number: int, between: Callable[[], None] | None) -> Reply:
        while number not in self._replies:
            if between is None or self._link.is_readable(LOOK_S):
                self._receive()
                continue
            try:
                between()
            except BaseException:
                self._abandon(number)
                raise
        return self._replies.pop(number)

    def _receive(self) -> None:
        """Take one reply; that of an outer call, or of a call that was given up, may come first."""
        reply: Reply = self._link.receive()
        if reply.number in self._abandoned:
            self._abandoned.remove(reply.number)
        else:
            self._replies[reply.number] = reply

    def _abandon(self, number: int) -> None:
        self._released.append(number)
        if self._replies.pop(number, None) is None and not self._ended:
            self._abandoned.add(number)
            with suppress(LinkClosedError):
                self._link.send(Cancel(number))

    def _lost(self) -> NetworkEndedError:
        if not self._ended:
            self._ended = f"the network's process {self._finish()}"
        return NetworkEndedError(self._ended)

    def _finish(self) -> str:
        self._last_prompts = None
        how = self._end()
        self._link.close()
        return how
