"""Base of the benchmark's segmenters that measure or delay another one."""

from __future__ import annotations

from collections.abc import Sequence

from samlite_ros.segmenter.contract import PromptEmbedding, Segmenter
from samlite_ros.types import Prompt


class WrappedSegmenter:
    """Another segmenter's name and text embeddings; what a subclass does to images and decoding is its own affair.

    Args:
        inner: Does the work.
    """

    def __init__(self, inner: Segmenter) -> None:
        self._inner = inner

    @property
    def model_id(self) -> str:
        """That of the inner segmenter."""
        return self._inner.model_id

    @property
    def computes(self) -> str:
        """As the inner segmenter."""
        return self._inner.computes

    @property
    def interruptible(self) -> bool:
        """As the inner segmenter."""
        return self._inner.interruptible

    def forget(self, camera: str) -> None:
        """As the inner segmenter."""
        self._inner.forget(camera)

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptEmbedding:
        """As the inner segmenter."""
        return self._inner.embed_prompts(prompts)
