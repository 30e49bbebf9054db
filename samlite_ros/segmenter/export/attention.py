"""Attention as it is exported: which products go together, and in which rows.

Rows of all phrases are one matrix, (N * tokens, C): see `rows`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from samlite_ros.segmenter.backend import CONTEXT_TOKENS
from samlite_ros.segmenter.export.rows import Heads, copy, join


class CrossAttention(nn.Module):
    """Attention of rows to something whose keys and values are there already."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.heads = Heads.of(attention)
        self.query = copy(attention.q_proj, float(attention.scaling))
        self.output = copy(attention.o_proj)

    def forward(
        self, rows: torch.Tensor, tokens: int, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """(B * tokens, C) to (N * tokens, C); B is 1 or N."""
        query = self.heads.split(self.query(rows), tokens)
        found: torch.Tensor = self.output(self.heads.attend(query, key, value, bias))
        return found


class SelfAttention(nn.Module):
    """Attention of rows to each other, with positions in queries and keys alone."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.heads = Heads.of(attention)
        self.both = join((attention.q_proj, attention.k_proj), (float(attention.scaling), 1.0))
        self.value, self.output = copy(attention.v_proj), copy(attention.o_proj)

    def forward(self, placed: torch.Tensor, rows: torch.Tensor, tokens: int) -> torch.Tensor:
        """`placed` = rows + positions, (N * tokens, C) both."""
        both = self.heads.split_parts(self.both(placed), tokens, 2)
        found: torch.Tensor = self.output(
            self.heads.attend(both[0], both[1], self.heads.split(self.value(rows), tokens))
        )
        return found


class TextKeys(nn.Module):
    """Keys and values of the phrases' tokens, for all layers of a stage."""

    def __init__(self, attentions: list[Any]) -> None:
        super().__init__()
        self.heads = Heads.of(attentions[0])
        self.joint = join([part for attention in attentions for part in (attention.k_proj, attention.v_proj)])
        self.parts = 2 * len(attentions)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """(N * 32, C) to (2 * layers, N, heads, 32, d): keys and values in turns."""
        return self.heads.split_parts(self.joint(text), CONTEXT_TOKENS, self.parts)


def padding_bias(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(N, 32), 1 at tokens, to float32 (N, 1, 1, 32): 0 at tokens, a large negative number at padding."""
    return ((mask.float() - 1) * -torch.finfo(dtype).min)[:, None, None]
