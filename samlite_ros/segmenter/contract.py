"""What network, bags and benchmarks know of a segmenter, and the features that it hands out and takes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from samlite_ros.segmenter.backend import Reuse
from samlite_ros.types import DecodeOptions, Frame, Prompt, PromptResult


@dataclass(frozen=True, eq=False)
class PromptEmbedding:
    """Features of some prompts, on the segmenter's device. `features` is the segmenter's own affair."""

    prompts: tuple[Prompt, ...]
    model_id: str
    features: Any = field(repr=False)


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """Image features of one frame, on the segmenter's device; knows which frame, so that it can't be mixed up.

    `bytes` is the memory that the features take.
    """

    stamp_ns: int
    camera: str
    size: tuple[int, int]
    model_id: str
    features: Any = field(repr=False)
    reuse: Reuse = field(default_factory=Reuse)
    bytes: int = 0


@runtime_checkable
class Segmenter(Protocol):
    """All that streaming, node and bags know of the network. Used from one thread."""

    @property
    def model_id(self) -> str:
        """Names the weights, e.g. 'vil-uob/sam3-litetext-s0'."""
        ...

    @property
    def computes(self) -> str:
        """Where and how it computes, in words: 'cpu, bfloat16'."""
        ...

    @property
    def interruptible(self) -> bool:
        """Whether `on_block` and `on_step` are called; where they are not, a pass can be neither ended nor joined."""
        ...

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptEmbedding:
        """Embed prompts; each prompt's features are computed once and kept.

        Raises:
            PhraseTooLongError: A prompt exceeds the context.
        """
        ...

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """Embed one frame.

        Args:
            frame: The frame.
            on_block: Called between two blocks of the image encoder, on this thread; it may call `segment` on an
                earlier embedding (a late query), or raise `Cancelled`, which ends the pass.
        """
        ...

    def forget(self, camera: str) -> None:
        """Give back what is kept of a camera between its images, if anything is."""
        ...

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """Decode prompts over one image: one result per prompt, in order.

        Args:
            image: The image.
            prompts: N.
            options: N.
            on_step: Called between two layers of the decoder, on this thread; it may do what `on_block` may do.

        Raises:
            ValueError: The embeddings are of different models, or options and prompts differ in number.
        """
        ...
