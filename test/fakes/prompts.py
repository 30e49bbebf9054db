"""Prompts in few words."""

from samlite_ros.types import Prompt


def prompts(*texts: str) -> tuple[Prompt, ...]:
    """Prompts of these texts, as they are."""
    return tuple(map(Prompt, texts))
