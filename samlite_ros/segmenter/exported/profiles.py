"""The sizes between which TensorRT's engines work: of every free axis the least, the usual and the largest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from samlite_ros.segmenter.backend import CONTEXT_TOKENS
from samlite_ros.segmenter.exported.manifest import Graph, Manifest, Shape

Shapes = dict[str, tuple[int, ...]]
"""Of each input."""

USUAL_PROMPTS = 4
"""As many as the node decodes at once by default, of a large network."""
USUAL_KEPT = 4
USUAL_TOKENS = 16
"""Short phrases are filled up to so many."""


class Profile(NamedTuple):
    """Shapes of the inputs that have a free axis; empty = none has."""

    min: Shapes
    opt: Shapes
    max: Shapes


def profile(graph: Graph, manifest: Manifest) -> Profile:
    """The profile of one graph. The axis `k` counts kept queries, `l` tokens, all others phrases."""
    free = {n: t.shape for n, t in graph.inputs.items() if any(isinstance(axis, str) for axis in t.shape)}

    def filled(prompts: int, kept: int, tokens: int) -> Shapes:
        return {name: _fill(shape, prompts, {"k": kept, "l": tokens}) for name, shape in free.items()}

    most = manifest.max_prompts
    return Profile(
        filled(1, 1, 1),
        filled(min(USUAL_PROMPTS, most), min(USUAL_KEPT, manifest.queries), USUAL_TOKENS),
        filled(most, manifest.queries, CONTEXT_TOKENS),
    )


def _fill(shape: Shape, prompts: int, others: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(axis if isinstance(axis, int) else others.get(axis, prompts) for axis in shape)
