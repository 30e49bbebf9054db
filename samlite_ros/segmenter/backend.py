"""The contract of a backend: the passes of a SAM3-LiteText network, on arrays that are the backend's own affair.

A backend knows weights, devices and one library; keeping embeddings, choosing instances, and masks at the camera's
resolution are written once, around it. The four passes are those that a network is exported as: prompts, image,
proposals for N prompts, masks of the queries that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from samlite_ros.types import Mask, Prompt

CONTEXT_TOKENS = 32
"""Phrases are padded to exactly this: the position table is stretched to the length, so that the length is part of
the model."""

Callback = Callable[[], None]
"""Called between two parts of a pass, on the thread that computes; it may begin and end another pass, or raise."""


def go_on() -> None:
    """Nothing is to be done between two parts."""


ImageFeatures = Any
"""What one image's pass leaves for decoding, on the device, anything but None; lives as long as someone holds it."""

PromptFeatures = Any
"""Features of one prompt, on the device, in memory of their own."""


@dataclass(frozen=True)
class Reuse:
    """What an image's pass took from the camera's image before.

    Args:
        computed: Share of the image's tokens that were computed.
        kept_bytes: Memory that is kept for the next images, over all cameras.
    """

    computed: float = 1.0
    kept_bytes: int = 0


@dataclass(frozen=True, eq=False)
class Proposals:
    """What the network says of N prompts before masks, in the host's memory.

    Args:
        scores: float32 (N, Q), probability that a query is an instance of the prompt.
        presence: float32 (N,), probability that the prompt is there.
        boxes_xyxy: float32 (N, Q, 4), 0 to 1 of the image's width and height.
        rest: What `Backend.draw_masks` needs besides; the backend's own affair.
    """

    scores: NDArray[np.float32]
    presence: NDArray[np.float32]
    boxes_xyxy: NDArray[np.float32]
    rest: Any = field(repr=False, default=None)


class CutMasks(Protocol):
    """See `Backend.cut_masks`."""

    def __call__(
        self,
        image: ImageFeatures,
        proposals: Proposals,
        kept: Sequence[NDArray[np.int64]],
        levels: Sequence[int],
        size: tuple[int, int],
        on_step: Callback | None = None,
    ) -> list[tuple[Mask, ...]]:
        """Of each of N prompts the masks of the kept queries, of 0 and 255 at the camera's resolution.

        Args:
            image, proposals, kept, on_step: As of `Backend.draw_masks`.
            levels: Of each prompt the least probability inside its masks, as `Mask.threshold`.
            size: (H, W) of the camera image [px].
        """
        ...


class Backend(Protocol):
    """A loaded network. Used from one thread.

    Any pass may raise `out_of_memory`; it is tried once more after `free_memory`.
    """

    @property
    def model_id(self) -> str:
        """Names the weights, as the user named them."""
        ...

    @property
    def device(self) -> str:
        """Where it computes, for messages."""
        ...

    @property
    def computes(self) -> str:
        """Where and how it computes, in words: 'cpu, bfloat16'."""
        ...

    @property
    def image_size(self) -> int:
        """Side of the square input [px]."""
        ...

    @property
    def interruptible(self) -> bool:
        """Whether the callbacks of its passes are called."""
        ...

    @property
    def most_prompts(self) -> int | None:
        """Most prompts that `propose` takes; None = as many as memory allows."""
        ...

    @property
    def out_of_memory(self) -> type[Exception]:
        """What its library raises where the device's memory is used up."""
        ...

    def free_memory(self) -> None:
        """Give back what is cached on the device."""
        ...

    def encode_prompts(self, prompts: Sequence[Prompt]) -> Sequence[PromptFeatures]:
        """Compute the features of N prompts.

        Raises:
            PhraseTooLongError: A prompt exceeds the context.
            ModelLoadError: The text encoder's memory was given back, and its file is gone since.
        """
        ...

    def encode_image(
        self, image: NDArray[np.uint8], on_block: Callback | None = None, camera: str = ""
    ) -> ImageFeatures:
        """Compute the features of one image.

        Args:
            image: uint8 (H, W, 3), RGB, of any size; it is resized here.
            on_block: Called between two parts of the pass.
            camera: Whose image it is; something of it may be kept for the next one.
        """
        ...

    @property
    def reuse(self) -> Reuse:
        """Of the last image."""
        ...

    def forget(self, camera: str) -> None:
        """Give back what is kept of a camera, if anything is."""
        ...

    def propose(
        self, image: ImageFeatures, prompts: Sequence[PromptFeatures], on_step: Callback | None = None
    ) -> Proposals:
        """Scores and boxes of N prompts over one image, all Q queries."""
        ...

    def draw_masks(
        self,
        image: ImageFeatures,
        proposals: Proposals,
        kept: Sequence[NDArray[np.int64]],
        on_step: Callback | None = None,
    ) -> list[NDArray[np.float32]]:
        """Mask logits of the kept queries alone.

        Args:
            image: The image of the proposals.
            proposals: Of N prompts.
            kept: Of each prompt, the indices (K,) of the queries to draw; K may be 0.
            on_step: Called between two parts of the pass.

        Returns:
            Of each prompt float32 (K, h, w), at the network's own resolution, in the host's memory.
        """
        ...

    @property
    def cut_masks(self) -> CutMasks | None:
        """Draws masks and cuts them where they are, so that bits leave the device; None = logits are cut on the host.

        Used where nobody needs to know the probabilities of pixels.
        """
        ...

    def resample(
        self, logits: NDArray[np.float32], vertical: NDArray[np.float32], horizontal: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        """See `upsample.resample`; a backend with threads of its own computes it with them.

        numpy's product wakes a second pool of threads, which costs the network twice its time on two cores.
        """
        ...

    def fingerprint(self) -> str:
        """Names what prompts' features depend on: weights, their type, the tokenizer."""
        ...

    def write_features(self, path: Path, features: PromptFeatures, metadata: Mapping[str, str]) -> None:
        """Write one prompt's features to a safetensors file.

        Raises:
            OSError: The file cannot be written.
        """
        ...

    def read_features(self, path: Path) -> tuple[PromptFeatures, Mapping[str, str]]:
        """What `write_features` wrote: the features, on the device, and the metadata.

        Raises:
            OSError, SafetensorError, ValueError: There is no such file, it is damaged, or holds features of another
                network.
        """
        ...
