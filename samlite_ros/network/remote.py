"""The network in another process, with the calls of one in this process."""

from __future__ import annotations

import itertools
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from samlite_ros.errors import NetworkEndedError
from samlite_ros.network.link import Link, LinkClosedError
from samlite_ros.network.local import Between, Found
from samlite_ros.network.protocol import Call, Cancel, Decode, Embed, Forget, Load, Loaded, Reply, Request, SearchImage
from samlite_ros.segmenter.contract import ImageEmbedding
from samlite_ros.types import DecodeOptions, Frame, Prompt

LOOK_S = 0.05
"""While the network computes, `between` is called so often [s], and when `look` is called. The network does not wait
for it."""


class KeptFeatures:
    """Features of an embedding that are kept in the network's process, until this object is collected.

    Args:
        owner: Whose process it is.
        number: Of the request that made them.
    """

    def __init__(self, owner: RemoteNetwork, number: int) -> None:
        self.owner, self.number = owner, number


class RemoteNetwork:
    """Answers by asking the network's process. Implements `samlite_ros.network.local.Network`.

    `between` is called on the caller's thread while the network computes. What it asks of this network is answered
    between two parts of the pass; what it raises ends the pass there, and is raised here at once.

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

    def __init__(self, link: Link, pid: int, end: Callable[[], str], parameters: object) -> None:
        self._pid = pid
        self._link, self._end = link, end
        self._ended = ""
        self._numbers = itertools.count(1)
        self._running = 0
        self._replies: dict[int, Reply] = {}
        self._abandoned: set[int] = set()
        self._released: deque[int] = deque()
        self._loaded: Loaded = self._answer(Load(parameters)).value

    @property
    def pid(self) -> int:
        """Of the network's process."""
        return self._pid

    @property
    def model_id(self) -> str:
        """Names the weights."""
        return self._loaded.model_id

    @property
    def computes(self) -> str:
        """As the segmenter does."""
        return self._loaded.computes

    @property
    def interruptible(self) -> bool:
        """As the segmenter is."""
        return self._loaded.interruptible

    @property
    def is_alive(self) -> bool:
        """Whether the network's process still runs; may be asked from any thread."""
        return not self._ended and not self._link.is_closed()

    def forget(self, camera: str) -> None:
        """See `Network`."""
        try:
            self._link.send(Forget(camera))
        except LinkClosedError:
            raise self._lost() from None

    def look(self) -> None:
        """See `Network`; may be called from any thread."""
        self._link.wake()

    def check(self) -> None:
        """See `Network`.

        Raises:
            NetworkEndedError: It has ended.
        """
        if not self.is_alive:
            raise self._lost()

    def embed(self, prompts: Sequence[Prompt]) -> dict[Prompt, Exception]:
        """See `Network`."""
        return _refused(self._answer(Embed(tuple(prompts))))

    def search(
        self,
        frame: Frame,
        prompts: Sequence[Prompt],
        options: Sequence[DecodeOptions],
        between: Between | None = None,
    ) -> Found:
        """See `Network`."""
        reply = self._answer(SearchImage(frame.alone(), tuple(prompts), tuple(options)), between)
        found: Found = reply.value
        image = replace(found.image, features=self._kept(reply.number))
        return replace(found, image=image, refused=_refused(reply))

    def decode(
        self,
        image: ImageEmbedding,
        prompts: Sequence[Prompt],
        options: Sequence[DecodeOptions],
        between: Between | None = None,
    ) -> Found:
        """See `Network`."""
        reply = self._answer(Decode(self._numbered(image), tuple(prompts), tuple(options)), between)
        found: Found = reply.value
        return replace(found, image=image, refused=_refused(reply))

    def close(self) -> None:
        """End the network's process, whatever it does."""
        if not self._ended:
            self._finish()
            self._ended = "the network was let go"

    def _kept(self, number: int) -> KeptFeatures:
        kept = KeptFeatures(self, number)
        weakref.finalize(kept, self._released.append, number).atexit = False
        return kept

    def _numbered(self, embedding: ImageEmbedding) -> ImageEmbedding:
        """The embedding as it travels.

        Raises:
            ValueError: Its features are not in this network's process.
        """
        kept = embedding.features
        if not isinstance(kept, KeptFeatures) or kept.owner is not self:
            raise ValueError(f"the features of {embedding!r} are not in this network's process")
        return replace(embedding, features=kept.number)

    def _answer(self, call: Call, between: Between | None = None) -> Reply:
        """The network's answer; may be called again by `between`."""
        number = next(self._numbers)
        self._running += 1
        try:
            self._ask(number, call, between is not None)
            reply = self._wait(number, between)
        except LinkClosedError:
            raise self._lost() from None
        finally:
            self._running -= 1
        if reply.failure is not None:
            raise reply.failure.exception()
        return reply

    def _ask(self, number: int, call: Call, in_parts: bool) -> None:
        if self._ended:
            raise NetworkEndedError(self._ended)
        while self._abandoned and self._running == 1:  # or both sides might wait for the other to read
            self._receive()
        released = tuple(self._released.popleft() for _ in range(len(self._released)))
        self._link.send(Request(number, call, in_parts, released))

    def _wait(self, number: int, between: Between | None) -> Reply:
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
        how = self._end()
        self._link.close()
        return how


def _refused(reply: Reply) -> dict[Prompt, Exception]:
    return {prompt: failure.exception() for prompt, failure in reply.refused.items()}
