"""The decoder as it is exported: queries look for a phrase in the image, and move their boxes after each layer.

The presence token has a row among the boxes too, which nobody reads: nothing is cut off and put back in each layer.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import nn

from samlite_ros.segmenter.export.attention import Attention
from samlite_ros.segmenter.export.rows import Chain, Columns, flat
from samlite_ros.segmenter.pytorch.decoder_layers import RPB_SCALE, inverse_sigmoid, to_xyxy


class _Look(NamedTuple):
    """Where the presence token and Q queries look, because of their boxes.

    Args:
        placing: (N, 1 + Q, C), added to queries.
        edges: (N, 2, heads, 1 + Q, cells), added to attention along y and along x.
        logits: float32 (N, 1 + Q, 4), of the boxes.
    """

    placing: torch.Tensor
    edges: torch.Tensor
    logits: torch.Tensor


class _DecoderLayer(nn.Module):
    """One layer, on (N, 1 + Q, C)."""

    def __init__(self, layer: Any, tokens: int) -> None:
        super().__init__()
        self.self_attention = Attention(layer.self_attn, tokens)
        self.of_text = Attention(layer.text_cross_attn, tokens)
        self.of_image = Attention(layer.vision_cross_attn, tokens)
        self.mlp = Chain([layer.mlp.fc1, layer.mlp.fc2], layer.mlp.activation_fn)
        self.after_self, self.after_text = layer.self_attn_layer_norm, layer.text_cross_attn_layer_norm
        self.after_image, self.after_mlp = layer.vision_cross_attn_layer_norm, layer.mlp_layer_norm
        self.tokens, self.width = tokens, int(layer.mlp.fc1.in_features)

    def attend_itself(self, hidden: torch.Tensor, placing: torch.Tensor) -> torch.Tensor:
        placed = hidden + placing
        return self._add(self.after_self, hidden, self.self_attention(placed, placed, hidden))

    def attend_text(
        self, hidden: torch.Tensor, placing: torch.Tensor, text: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        return self._add(self.after_text, hidden, self.of_text(hidden + placing, text, text, bias))

    def attend_image(
        self, hidden: torch.Tensor, placing: torch.Tensor, placed: torch.Tensor, image: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """`placed` = `image` + positions, (N, h * w, C) both."""
        return self._add(self.after_image, hidden, self.of_image(hidden + placing, placed, image, bias))

    def think(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._add(self.after_mlp, hidden, self.mlp(flat(hidden)))

    def _add(self, norm: nn.Module, hidden: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = norm(hidden + rows.view(-1, self.tokens, self.width))
        return normed


class Decoder(nn.Module):
    """From (N, h * w, C) to queries (N, Q, C), boxes float32 (N, Q, 4) as centre and size, presence logits (N, 1)."""

    layers: Any
    position: torch.Tensor
    hidden: torch.Tensor
    placing: torch.Tensor
    edges: torch.Tensor
    logits: torch.Tensor

    def __init__(self, decoder: Any, position: torch.Tensor, side: int) -> None:
        super().__init__()
        self.dtype = position.dtype
        self.tokens = 1 + int(decoder.query_embed.weight.shape[0])
        self.layers = nn.ModuleList(_DecoderLayer(layer, self.tokens) for layer in decoder.layers)
        self.boxes = _Boxes(decoder, side, self.layers[0].of_image.heads.number)
        self.box_head, self.presence_head = Chain.of(decoder.box_head), Chain.of(decoder.presence_head)
        self.norm, self.presence_norm = decoder.output_layer_norm, decoder.presence_layer_norm
        self.limit = float(decoder.clamp_presence_logit_max_val)
        self.register_buffer("position", position, persistent=False)
        hidden, look = self._begin(decoder)
        self.register_buffer("hidden", hidden.to(self.dtype), persistent=False)
        for name, value in look._asdict().items():
            self.register_buffer(name, value if name == "logits" else value.to(self.dtype), persistent=False)

    def forward(
        self, encoded: torch.Tensor, text: torch.Tensor, padding: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        placed = encoded + self.position
        hidden, look = self.hidden, _Look(self.placing, self.edges, self.logits)
        for number, layer in enumerate(self.layers):
            if number:
                hidden = layer.attend_itself(hidden, look.placing)
            hidden = layer.attend_text(hidden, look.placing, text, padding)
            hidden = layer.attend_image(hidden, look.placing, placed, encoded, self.boxes.bias(look.edges))
            hidden = layer.think(hidden)
            queries = self.norm(hidden)
            moved = self.box_head(flat(queries)).float().view(-1, self.tokens, 4)
            boxes = (moved + look.logits).sigmoid()
            look = self.boxes(boxes, self.dtype)
        presence = self.presence_head(self.presence_norm(hidden[:, 0]))
        return queries[:, 1:], boxes[:, 1:], presence.clamp(-self.limit, self.limit)

    @torch.no_grad()
    def _begin(self, decoder: Any) -> tuple[torch.Tensor, _Look]:
        """What there is before a phrase is read, of N = 1, in float32: tokens after the first self-attention."""
        known = decoder.reference_points.weight.float().sigmoid()  # (Q, 4)
        look = self.boxes(torch.cat((torch.full_like(known[:1], 0.5), known))[None], torch.float32)
        hidden = torch.cat([decoder.presence_token.weight, decoder.query_embed.weight]).float()[None]
        return self.layers[0].attend_itself(hidden, look.placing), look


class _Boxes(nn.Module):
    """Where queries look; nowhere for the presence token, the first row."""

    frequency: torch.Tensor
    phase: torch.Tensor
    centres: torch.Tensor
    there: torch.Tensor

    def __init__(self, decoder: Any, side: int, heads: int) -> None:
        super().__init__()
        self.side, self.heads = side, heads
        encoding, self.head = decoder.position_encoding, Chain.of(decoder.ref_point_head)
        first = self.head.layers[0]  # reads y, x, width, height
        self.features = first.in_features // 4
        place = torch.arange(self.features)
        frequency = encoding.scale / encoding.temperature ** (place // 2 * 2 / self.features)
        self.register_buffer("frequency", frequency.float(), persistent=False)
        self.register_buffer("phase", (place % 2) * (math.pi / 2), persistent=False)  # a cosine is a sine
        first.weight.data = first.weight.data.unflatten(1, (4, -1))[:, [1, 0, 2, 3]].flatten(1)
        *hidden, last = _both_axes(Chain.of(decoder.box_rpb_embed_y), Chain.of(decoder.box_rpb_embed_x)).layers
        self.embed, self.edge = Chain(hidden), Columns.of(last)  # its bias moves all scores of a query alike
        centres = torch.arange(side, dtype=torch.float32) / side * RPB_SCALE
        self.register_buffer("centres", centres[:, None], persistent=False)
        self.tokens, self.width = 1 + decoder.query_embed.weight.shape[0], int(decoder.query_embed.weight.shape[1])
        there = torch.ones(self.tokens, 1)
        there[0] = 0
        self.register_buffer("there", there, persistent=False)

    def forward(self, boxes: torch.Tensor, dtype: torch.dtype) -> _Look:
        """Of boxes float32 (N, 1 + Q, 4)."""
        return _Look(self._placing(boxes, dtype), self._edges(boxes, dtype), inverse_sigmoid(boxes))

    def bias(self, edges: torch.Tensor) -> torch.Tensor:
        """(N, 2, heads, 1 + Q, cells) to (N, heads, 1 + Q, h * w)."""
        both = edges[:, 0, ..., None] + edges[:, 1, ..., None, :]
        return both.view(-1, self.heads, self.tokens, self.side**2)

    def _placing(self, boxes: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        waves = torch.sin(boxes[..., None] * self.frequency + self.phase)
        rows = self.head(waves.reshape(-1, 4 * self.features).to(dtype))
        return rows.view(-1, self.tokens, self.width) * self.there.to(dtype)

    def _edges(self, boxes: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        deltas = self.centres - (to_xyxy(boxes) * RPB_SCALE)[:, :, None]  # (N, 1 + Q, cells, 4)
        scaled = deltas.sign() * (deltas.abs() + 1.0).log()
        rows = self.embed(scaled.reshape(-1, 4).to(dtype)).relu()
        columns = self.edge(rows.view(-1, self.tokens * self.side, self.edge.in_features))
        return columns.view(-1, 2, self.heads, self.tokens, self.side) * self.there.to(dtype)


def _both_axes(of_y: Chain, of_x: Chain) -> Chain:
    """Reads logarithms of x0, y0, x1, y1; gives y's heads, then x's."""
    for one, other in zip(of_y.layers, of_x.layers, strict=True):
        one.weight.data = torch.block_diag(one.weight.data, other.weight.data)
        one.bias.data = torch.cat((one.bias.data, other.bias.data))
    first = of_y.layers[0]  # read y0, y1, x0, x1, in logarithms to the base RPB_SCALE
    first.weight.data = first.weight.data[:, [2, 0, 3, 1]] / math.log(RPB_SCALE)
    return of_y
