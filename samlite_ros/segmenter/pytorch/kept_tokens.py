"""What the image encoder keeps of an image, so that the next one computes only the tokens that changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch

from samlite_ros.segmenter.pytorch.decoder import ImageFeatures
from samlite_ros.segmenter.pytorch.windows import WindowLayout


@dataclass(frozen=True, eq=False)
class Chosen:
    """The tokens that are computed.

    Args:
        index: int64 (m,), their places in window order, ascending.
        windows: Of each window that has some: its number, its first one in `index`, and how many there are.
    """

    index: torch.Tensor
    windows: tuple[tuple[int, int, int], ...]


@dataclass(eq=False)
class LayerTokens:
    """Keys, as attention reads them, and values of one layer, (n, heads, d) each, in window order."""

    keys: torch.Tensor
    values: torch.Tensor

    def put(self, chosen: Chosen, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Overwrite those of the chosen tokens, (m, heads, d) each."""
        self.keys[chosen.index] = keys
        self.values[chosen.index] = values


@dataclass(eq=False)
class KeptTokens:
    """Of one camera's last image; what a pass that was given up leaves behind is of no use.

    Args:
        layers: One per layer of the ViT.
        hidden: (n, C) after the last layer, in window order.
        features: What became of it.
    """

    layers: list[LayerTokens] = field(default_factory=list)
    hidden: torch.Tensor | None = None
    features: ImageFeatures | None = None

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        own = [part for layer in self.layers for part in (layer.keys, layer.values)]
        return sum(t.numel() * t.element_size() for t in (*own, *(() if self.hidden is None else (self.hidden,))))


def choose(layout: WindowLayout, changed: torch.Tensor) -> Chosen:
    """The tokens to compute.

    Args:
        layout: Of the grid.
        changed: bool (n,), row by row.
    """
    index = torch.nonzero(changed.to(layout.order.device)[layout.order])[:, 0]
    bounds = torch.tensor([window.tokens.start for window in layout.windows] + [len(layout.order)])
    first = torch.searchsorted(index.cpu(), bounds).tolist()
    parts = enumerate(pairwise(first))
    windows = tuple((number, start, stop - start) for number, (start, stop) in parts if stop > start)
    return Chosen(index, windows)
