"""A whole pass of a segmenter over one frame, and what it gave; the same on a thread and in the network's process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, PhraseResult, Segmenter, TextEmbedding


@dataclass(frozen=True, eq=False)
class Found:
    """What a pass gave.

    Args:
        image: The embedding.
        results: One per phrase.
        encode_s: Time that the embedding took [s].
    """

    image: ImageEmbedding
    results: list[PhraseResult]
    encode_s: float


def search(
    segmenter: Segmenter,
    frame: Frame,
    text: TextEmbedding,
    options: Sequence[DecodeOptions],
    between: Callable[[], None] | None,
) -> Found:
    """Embed a frame and decode phrases over it.

    Args:
        segmenter: What computes.
        frame: The frame.
        text: The phrases.
        options: One per phrase.
        between: Called between two blocks and between two layers, where the segmenter is interruptible.
    """
    began_s = time.monotonic()
    image = segmenter.embed_image(frame, between)
    encode_s = time.monotonic() - began_s
    return Found(image, segmenter.segment(image, text, options, between), encode_s)
