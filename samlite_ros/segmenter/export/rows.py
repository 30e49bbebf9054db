"""Building blocks of exported graphs: products of (rows, C) with their biases, and attention between them.

torch's exporter makes one Gemm of a product of matrices and its bias, and a MatMul and an Add of one with a batch
before it; the number of phrases is in the rows, so that no graph asks for its shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn


def copy(linear: Any, scale: float = 1.0) -> nn.Linear:
    """A float32 copy whose outputs are scaled."""
    return join((linear,), (scale,))


def join(linears: Sequence[Any], scales: Sequence[float] | None = None) -> nn.Linear:
    """One float32 product that gives the outputs of several, one after the other.

    Args:
        linears: They read the same.
        scales: Of each one's outputs; None = 1.
    """
    factors = scales or [1.0] * len(linears)
    outputs = sum(linear.weight.shape[0] for linear in linears)
    joint = nn.Linear(linears[0].weight.shape[1], outputs)
    pairs = list(zip(linears, factors, strict=True))
    with torch.no_grad():
        joint.weight.copy_(torch.cat([linear.weight.float() * factor for linear, factor in pairs]))
        joint.bias.copy_(torch.cat([linear.bias.float() * factor for linear, factor in pairs]))
    return joint.requires_grad_(False)


class Chain(nn.Module):
    """Products with an activation between them; float32 copies.

    Args:
        layers: In order.
        activation: Between two of them.
    """

    layers: Any

    def __init__(self, layers: Sequence[Any], activation: Callable[[torch.Tensor], torch.Tensor] = F.relu) -> None:
        super().__init__()
        self.layers = nn.ModuleList(copy(layer) for layer in layers)
        self.activation = activation

    @classmethod
    def of(cls, mlp: Any) -> Chain:
        """Of a decoder's MLP, which has two or three layers."""
        return cls([layer for layer in (mlp.layer1, mlp.layer2, mlp.layer3) if layer is not None])

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, C) to (rows, C')."""
        for place, layer in enumerate(self.layers):
            rows = layer(self.activation(rows) if place else rows)
        return rows


def flat(values: torch.Tensor) -> torch.Tensor:
    """(N, tokens, C) to (N * tokens, C)."""
    return values.flatten(0, 1)


class Columns(nn.Linear):
    """A product without bias that gives columns: (N, k, C) to (N, C', k), whatever N and k are."""

    @classmethod
    def of(cls, linear: Any) -> Columns:
        """A float32 copy, without the bias."""
        columns = cls(linear.weight.shape[1], linear.weight.shape[0], bias=False)
        with torch.no_grad():
            columns.weight.copy_(linear.weight)
        return columns.requires_grad_(False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.weight @ rows.transpose(1, 2)


class _SplitColumns(torch.autograd.Function):
    """(N, heads * d, k) to (N, heads, d, k): torch's exporter would ask for N and k, and put them together again."""

    @staticmethod
    def forward(ctx: Any, columns: torch.Tensor, heads: int, width: int) -> torch.Tensor:
        return columns.unflatten(1, (heads, width))

    @staticmethod
    def symbolic(graph: Any, columns: Any, heads: int, width: int) -> Any:
        """ONNX' Reshape: 0 = as it was, -1 = what is left."""
        return graph.op("Reshape", columns, graph.op("Constant", value_t=torch.tensor([0, heads, width, -1])))


class Heads(NamedTuple):
    """How rows and columns of an attention are cut; whole numbers, so that a graph has them as constants.

    Args:
        number: Of heads.
        width: Numbers of each.
    """

    number: int
    width: int

    @classmethod
    def of(cls, attention: Any) -> Heads:
        """Of a layer's attention."""
        number = int(attention.num_attention_heads)
        return cls(number, int(attention.q_proj.weight.shape[0]) // number)

    def split_rows(self, rows: torch.Tensor, tokens: int) -> torch.Tensor:
        """(B * tokens, heads * d) to (B, heads, tokens, d)."""
        return rows.view(-1, tokens, self.number, self.width).transpose(1, 2)

    def split_columns(self, columns: torch.Tensor) -> torch.Tensor:
        """(N, heads * d, k) to (N, heads, d, k)."""
        split: torch.Tensor = _SplitColumns.apply(columns, self.number, self.width)
        return split

    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Attention with a float32 softmax.

        Args:
            query: (B, heads, tokens, d), scaled; B is 1 or that of the others.
            key, value: (N, heads, d, k).
            bias: Added to the scores.

        Returns:
            (N * tokens, heads * d).
        """
        scores = (query @ key).float()
        if bias is not None:
            scores = scores + bias.float()
        weights = F.softmax(scores, -1).to(value.dtype)
        return (weights @ value.transpose(2, 3)).transpose(1, 2).reshape(-1, self.number * self.width)
