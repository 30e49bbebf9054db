"""Proposals for N phrases as they are exported: few products, on rows, with nothing computed that no phrase changes.

The numbers are those of `pytorch.shared_decode`, to rounding. What is different, since a graph is fixed:

- Products are of matrices with their biases, (rows, C), however many phrases the rows are of: runtimes fuse those.
- Keys and values are columns: see `attention`. A batch takes as many tokens as its longest phrase has.
- What the first decoder layer does before it reads a phrase is a constant: its self-attention, positions and bias.
- Both axes of a box's edges are embedded by one product, with zeros where they do not meet.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from samlite_ros.segmenter.export.attention import Attention, padding_bias
from samlite_ros.segmenter.export.decoder import Decoder
from samlite_ros.segmenter.export.rows import Chain, copy, flat
from samlite_ros.segmenter.pytorch.decoder_layers import to_xyxy


class Proposals(nn.Module):
    """N phrases over one image.

    Takes `attended` (1, h * w, C), features (N, l, C), mask (N, l); returns scores (N, Q), presence (N,), boxes
    (N, Q, 4), queries (N, Q, C), encoded (N, h * w, C).

    Args:
        model: A prepared network.
        position: (1, C, h, w), of the coarsest map.
    """

    def __init__(self, model: Any, position: torch.Tensor) -> None:
        super().__init__()
        self.dtype = position.dtype
        places = position.flatten(2).transpose(1, 2).contiguous()  # (1, h * w, C)
        self.encoder = _Encoder(model.detr_encoder, places)
        self.decoder = Decoder(model.detr_decoder, places, position.shape[-1])
        self.scoring = _Scoring(model.dot_product_scoring, self.decoder.tokens - 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.to(self.dtype)

    def forward(self, attended: torch.Tensor, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        padding = padding_bias(mask, self.dtype)
        encoded = self.encoder(attended, features, padding)
        queries, boxes, presence_logits = self.decoder(encoded, features, padding)
        presence = presence_logits.float().sigmoid()  # (N, 1)
        scores = self.scoring(queries, features, mask).float().sigmoid() * presence
        return scores, presence[:, 0], to_xyxy(boxes), queries, encoded


class _EncoderLayer(nn.Module):
    """One layer, on (N, h * w, C)."""

    position: torch.Tensor

    def __init__(self, layer: Any, position: torch.Tensor) -> None:
        super().__init__()
        self.before_self, self.before_text, self.before_mlp = layer.layer_norm1, layer.layer_norm2, layer.layer_norm3
        self.mlp = Chain([layer.mlp.fc1, layer.mlp.fc2], layer.mlp.activation_fn)
        self.register_buffer("position", position, persistent=False)
        self.tokens, self.width = position.shape[1:]
        self.self_attention = Attention(layer.self_attn, self.tokens)
        self.of_text = Attention(layer.cross_attn, self.tokens)

    def attend_itself(self, hidden: torch.Tensor) -> torch.Tensor:
        normed = self.before_self(hidden)
        placed = normed + self.position
        return hidden + self._grid(self.self_attention(placed, placed, normed))

    def forward(self, hidden: torch.Tensor, text: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        """What comes after the attention to itself; `hidden` may be of one image for N phrases."""
        hidden = hidden + self._grid(self.of_text(self.before_text(hidden), text, text, padding))
        return hidden + self._grid(self.mlp(flat(self.before_mlp(hidden))))

    def _grid(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.view(-1, self.tokens, self.width)


class _Encoder(nn.Module):
    """The encoder from the first layer's cross-attention on: (1, h * w, C) to (N, h * w, C)."""

    layers: Any

    def __init__(self, encoder: Any, position: torch.Tensor) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_EncoderLayer(layer, position) for layer in encoder.layers)

    def forward(self, hidden: torch.Tensor, text: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        for place, layer in enumerate(self.layers):
            if place:
                hidden = layer.attend_itself(hidden)
            hidden = layer(hidden, text, padding)
        return hidden


class _Scoring(nn.Module):
    """Logits (N, Q) of queries (N, Q, C) being instances of their phrases."""

    def __init__(self, scoring: Any, queries: int) -> None:
        super().__init__()
        self.queries = queries
        self.mlp, self.norm = Chain.of(scoring.text_mlp), scoring.text_mlp_out_norm
        self.text, self.query = copy(scoring.text_proj), copy(scoring.query_proj, float(scoring.scale))
        self.limit = float(scoring.clamp_max_val)

    def forward(self, queries: torch.Tensor, text: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(self.mlp(text) + text)
        there = mask.float()
        share = (there / there.sum(1, keepdim=True).clamp(min=1)).to(text.dtype)[:, None]  # (N, 1, l)
        pooled = self.text((share @ tokens)[:, 0])  # (N, C)
        asked = self.query(flat(queries)).view(-1, self.queries, self.query.out_features)
        return (asked @ pooled[..., None])[..., 0].clamp(-self.limit, self.limit)
