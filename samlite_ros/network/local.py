"""A whole pass of a segmenter over one frame, and what it gave; the same on a thread and in the network's process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, PromptEmbedding, PromptResult, Segmenter


@dataclass(frozen=True, eq=False)
class Found:
    """What a pass gave.

    Args:
        image: The embedding.
        results: One per prompt.
        encode_s: Time that the embedding took [s].
    """

    image: ImageEmbedding
    results: list[PromptResult]
    encode_s: float


def search(
    segmenter: Segmenter,
    frame: Frame,
    prompts: PromptEmbedding,
    options: Sequence[DecodeOptions],
    between: Callable[[], None] | None,
) -> Found:
    """Embed a frame and decode prompts over it.

    Args:
        segmenter: What computes.
        frame: The frame.
        prompts: The prompts.
        options: One per prompt.
        between: Called between two blocks and between two layers, where the segmenter is interruptible.
    """
    began_s = time.monotonic()
    image = segmenter.embed_image(frame, between)
    encode_s = time.monotonic() - began_s
    return Found(image, segmenter.segment(image, prompts, options, between), encode_s)
