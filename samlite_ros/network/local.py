"""A loaded network, wherever it runs, and the one that runs on the caller's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from samlite_ros.errors import InferenceError
from samlite_ros.segmenter.contract import ImageEmbedding, PromptEmbedding, Segmenter
from samlite_ros.types import DecodeOptions, Frame, Prompt, PromptResult

Between = Callable[[], None]
"""Called between two parts of a pass, on the caller's thread; it may ask the same network for something else, or raise
`Cancelled`, which ends the pass."""

MOST_KNOWN = 10_000
"""So many prompts are known to be embedded: phrases come without end."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a network found in one image.

    Args:
        image: The embedding.
        results: One per prompt that could be embedded, in order.
        refused: The other prompts, and why.
        encode_s: Time that the image embedding took [s].
    """

    image: ImageEmbedding
    results: list[PromptResult]
    refused: dict[Prompt, Exception]
    encode_s: float = 0.0


class Network(Protocol):
    """A segmenter, in this process or in one of its own. Used from one thread, but for `look`.

    Prompts are embedded where that has not been done yet, in the same go. One that cannot be embedded is left out and
    named in the answer; other errors are raised. Where the network has a process, each call raises NetworkEndedError
    when that has ended.
    """

    @property
    def model_id(self) -> str:
        """Names the weights."""
        ...

    @property
    def computes(self) -> str:
        """Where and how it computes, in words: 'cpu, bfloat16'."""
        ...

    @property
    def interruptible(self) -> bool:
        """Whether what `between` asks for is answered within a pass; if not, it has to wait for the pass's end."""
        ...

    @property
    def pid(self) -> int | None:
        """Of the network's own process; None = it runs in this one."""
        ...

    def embed(self, prompts: Sequence[Prompt]) -> dict[Prompt, Exception]:
        """Embed prompts and keep what comes of it; returns those that cannot be embedded, and why."""
        ...

    def search(
        self,
        frame: Frame,
        prompts: Sequence[Prompt],
        options: Sequence[DecodeOptions],
        between: Between | None = None,
    ) -> Found:
        """A whole pass: embed a frame and decode prompts over it, with options for each."""
        ...

    def decode(
        self,
        image: ImageEmbedding,
        prompts: Sequence[Prompt],
        options: Sequence[DecodeOptions],
        between: Between | None = None,
    ) -> Found:
        """Decode prompts, with options for each, over an image that is embedded already."""
        ...

    def forget(self, camera: str) -> None:
        """Give back what is kept of a camera between its images, if anything is."""
        ...

    def look(self) -> None:
        """Have `between` called soon, where a pass is running; may be called from any thread."""
        ...

    def check(self) -> None:
        """Notice the end of the network's process.

        Raises:
            NetworkEndedError: It has ended.
        """
        ...

    def close(self) -> None:
        """End the network's process, where it has one, whatever it does."""
        ...


class LocalNetwork:
    """A network on the caller's thread. Implements `Network`.

    Args:
        segmenter: Does the work.
    """

    pid = None

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._known: set[Prompt] = set()

    @property
    def model_id(self) -> str:
        """Names the weights."""
        return self._segmenter.model_id

    @property
    def computes(self) -> str:
        """As the segmenter does."""
        return self._segmenter.computes

    @property
    def interruptible(self) -> bool:
        """As the segmenter is."""
        return self._segmenter.interruptible

    def embed(self, prompts: Sequence[Prompt]) -> dict[Prompt, Exception]:
        """See `Network`."""
        return self._embed_new(prompts, None)

    def search(
        self,
        frame: Frame,
        prompts: Sequence[Prompt],
        options: Sequence[DecodeOptions],
        between: Between | None = None,
    ) -> Found:
        """See `Network`."""
        refused = self._embed_new(prompts, between)
        began_s = time.monotonic()
        image = self._segmenter.embed_image(frame, between)
        encode_s = time.monotonic() - began_s
        return Found(image, self._segment(image, prompts, options, refused, between), refused, encode_s)

    def decode(
        self,
        image: ImageEmbedding,
        prompts: Sequence[Prompt],
        options: Sequence[DecodeOptions],
        between: Between | None = None,
    ) -> Found:
        """See `Network`."""
        refused = self._embed_new(prompts, between)
        return Found(image, self._segment(image, prompts, options, refused, between), refused)

    def forget(self, camera: str) -> None:
        """See `Network`."""
        self._segmenter.forget(camera)

    def look(self) -> None:
        """See `Network`: `between` is called anyway."""

    def check(self) -> None:
        """See `Network`: there is no process."""

    def close(self) -> None:
        """See `Network`: there is no process."""

    def _embed_new(self, prompts: Sequence[Prompt], between: Between | None) -> dict[Prompt, Exception]:
        """Embed each prompt that was not embedded before on its own; returns those that cannot be, and why."""
        refused: dict[Prompt, Exception] = {}
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        for prompt in prompts:
            if prompt in self._known:
                continue
            if between is not None:
                between()
            try:
                self._segmenter.embed_prompts([prompt])
                self._known.add(prompt)
            except Exception as error:  # whoever asked is told
                refused[prompt] = error
        return refused

    def _segment(
        self,
        image: ImageEmbedding,
        prompts: Sequence[Prompt],
        options: Sequence[DecodeOptions],
        refused: dict[Prompt, Exception],
        between: Between | None,
    ) -> list[PromptResult]:
        kept = [(p, o) for p, o in zip(prompts, options, strict=True) if p not in refused]
        if not kept:
            return []
        embedding: PromptEmbedding = self._segmenter.embed_prompts([p for p, _ in kept])
        began_s = time.monotonic()
        results = self._segmenter.segment(image, embedding, [o for _, o in kept], between)
        took_s = time.monotonic() - began_s
        if len(results) != len(kept) or not all(isinstance(result, PromptResult) for result in results):
            raise InferenceError(f"the network gave {len(results)} results to {len(kept)} phrases, or some of no kind")
        if not any(result.decode_s for result in results):  # a segmenter need not tell
            results = [replace(result, decode_s=took_s / len(results)) for result in results]
        return results
