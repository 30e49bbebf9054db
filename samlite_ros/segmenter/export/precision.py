"""Which parts of a network stay in float32 when the rest is exported in float16.

TensorRT computes a strongly typed network in the types that the graph names, so that islands are casts in the graph:
normalisations, the softmax of every attention, rotary positions, and the arithmetic of boxes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ATTENTION = "samlite_export"
"""Name of `explicit_attention` among transformers' implementations."""


class Float32LayerNorm(nn.LayerNorm):
    """Computed in float32, whatever comes in."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return super().forward(values.float()).type_as(values)


class Float32GroupNorm(nn.GroupNorm):
    """Computed in float32, whatever comes in."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return super().forward(values.float()).type_as(values)


_ISLANDS: dict[type[nn.Module], type[nn.Module]] = {nn.LayerNorm: Float32LayerNorm, nn.GroupNorm: Float32GroupNorm}


def explicit_attention(
    _module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as two products with a float32 softmax between: fused forms export to graphs that fail in float16.

    Args:
        query, key, value: (B, heads, tokens, d).
        attention_mask: Added to the scores; None = nothing.
        scaling: Of the scores; applied to the queries, so that float16 products stay small.
    """
    scores = torch.matmul(query * scaling, key.transpose(-1, -2)).float()
    if attention_mask is not None:
        scores = scores + attention_mask.float()
    weights = F.softmax(scores, dim=-1).type_as(value)
    return torch.matmul(weights, value).transpose(1, 2), None


def prepare(model: nn.Module, dtype: torch.dtype) -> None:
    """Bring a float32 network into the form that is exported: explicit attention, islands, the rest in `dtype`."""
    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, explicit_attention)
    for module in model.modules():
        config: Any = getattr(module, "config", None)
        if config is not None:
            config._attn_implementation = ATTENTION
        if type(module) in _ISLANDS:
            module.__class__ = _ISLANDS[type(module)]
        elif not isinstance(module, tuple(_ISLANDS.values())):
            _round(module, dtype)


def _round(module: nn.Module, dtype: torch.dtype) -> None:
    """Weights and running statistics; tables of positions are no weights and stay as they are."""
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.to(dtype)
    if isinstance(module, nn.BatchNorm2d):
        for buffer in (module.running_mean, module.running_var):
            if buffer is not None:
                buffer.data = buffer.data.to(dtype)
