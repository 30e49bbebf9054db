"""Attention as it is exported: keys and values are columns, so that nothing is put in another order.

The numbers are those of the reference, to rounding. A key's bias moves all scores of a query alike, which softmax does
not see; a value's bias passes through, since weights sum to 1, and is part of the output's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from samlite_ros.segmenter.export.rows import Columns, Heads, copy, flat


class Attention(nn.Module):
    """Attention of N * tokens rows to k others of each of N.

    Args:
        attention: Of a layer.
        tokens: Rows of each of N that ask.
    """

    def __init__(self, attention: Any, tokens: int) -> None:
        super().__init__()
        self.tokens, self.heads = tokens, Heads.of(attention)
        self.query = copy(attention.q_proj, float(attention.scaling))
        self.key, self.value = Columns.of(attention.k_proj), Columns.of(attention.v_proj)
        self.output = copy(attention.o_proj)
        with torch.no_grad():
            self.output.bias.add_(attention.o_proj.weight.float() @ attention.v_proj.bias.float())

    def forward(
        self, asking: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What is found.

        Args:
            asking: (B, tokens, C); B is 1 or N.
            keys, values: (N, k, C), what keys and values are made of.
            bias: Added to the scores (N, heads, tokens, k).

        Returns:
            (N * tokens, C).
        """
        query = self.heads.split_rows(self.query(flat(asking)), self.tokens)
        key, value = self.heads.split_columns(self.key(keys)), self.heads.split_columns(self.value(values))
        found: torch.Tensor = self.output(self.heads.attend(query, key, value, bias))
        return found


def padding_bias(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(N, l), 1 at tokens, to float32 (N, 1, 1, l): 0 at tokens, a large negative number at padding."""
    return ((mask.float() - 1) * -torch.finfo(dtype).min)[:, None, None]
