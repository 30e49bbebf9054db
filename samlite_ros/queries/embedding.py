"""Prompts embedded where they are asked for, without a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from samlite_ros.errors import PhraseTooLongError
from samlite_ros.queries.registry import QueryRegistry
from samlite_ros.queries.requests import Refusal
from samlite_ros.types import Prompt


def embed_pending(registry: QueryRegistry, embed: Callable[[Sequence[Prompt]], object], now_ns: int) -> None:
    """Embed every pending prompt at once and say so to the registry; for callers without a worker of their own.

    Args:
        registry: The registry.
        embed: `Segmenter.embed_prompts`.
        now_ns: The time [ns].
    """
    for prompt in registry.pending_prompts:
        try:
            embed([prompt])
        except PhraseTooLongError as error:
            registry.prompt_failed(prompt, Refusal.TEXT_TOO_LONG, str(error), now_ns)
        else:
            registry.prompt_ready(prompt)
