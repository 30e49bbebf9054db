"""Attention and layers of the reference's encoder and decoder, on its weights, each input projected once.

The layers are so short in a small network that finding a weight in a module takes a share of them: it is done once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from samlite_ros.segmenter.pytorch.products import Layer, linear, widening

RPB_SCALE = 8.0
_SIGMOID_MARGIN = 1e-3


def norm(module: Any) -> Layer:
    """A module's layer norm; one of another kind computes itself."""
    if type(module) is not nn.LayerNorm:
        return module
    weight, bias, shape, eps = module.weight, module.bias, module.normalized_shape, module.eps
    return lambda values: torch.layer_norm(values, shape, weight, bias, eps)


def perceptron(module: Any) -> Layer:
    """The two or three layers of the decoder's small heads."""
    first = linear(module.layer1, rectified=True)
    if module.layer3 is None:
        last = linear(module.layer2)
        return lambda values: last(first(values))
    second, third = linear(module.layer2, rectified=True), linear(module.layer3)
    return lambda values: third(second(first(values)))


class Text(NamedTuple):
    """What N prompts say.

    Args:
        features: (N, t, C).
        mask: (N, 1, 1, t), 0 at tokens, the least number at padding.
    """

    features: torch.Tensor
    mask: torch.Tensor


class Attention:
    """Attention of N prompts.

    Args:
        module: The reference's. It computes itself where it is to attend otherwise than by torch's fused attention.
    """

    def __init__(self, module: Any) -> None:
        self._reference = None if module.config._attn_implementation == "sdpa" else module
        self._heads = (module.num_attention_heads, module.head_dim)
        self._query, self._key, self._value, self._out = (
            linear(part) for part in (module.q_proj, module.k_proj, module.v_proj, module.o_proj)
        )

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What the query attends to; (N, m, C).

        Args:
            query: (N, m, C), or (1, m, C) where it is the same for all prompts: it is projected once.
            key, value: (N, k, C).
            bias: Added to the weights; None = none.
        """
        if self._reference is not None:
            query = query.expand(key.shape[0], -1, -1)
            attended: torch.Tensor = self._reference(query=query, key=key, value=value, attention_mask=bias)[0]
            return attended
        queries = self._split(self._query(query)).expand(key.shape[0], -1, -1, -1)
        keys, values = self._split(self._key(key)), self._split(self._value(value))
        found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        return self._out(found.transpose(1, 2).flatten(2))

    def _split(self, values: torch.Tensor) -> torch.Tensor:
        """(N, m, C) to (N, heads, m, d)."""
        return values.view(*values.shape[:2], *self._heads).transpose(1, 2)


class EncoderLayer:
    """A layer of the encoder, in which the image reads the prompt.

    Args:
        layer: The reference's.
    """

    def __init__(self, layer: Any) -> None:
        self._norms = norm(layer.layer_norm1), norm(layer.layer_norm2), norm(layer.layer_norm3)
        self._itself, self._prompt = Attention(layer.self_attn), Attention(layer.cross_attn)
        self._widen = widening(layer.mlp)

    def attend(self, hidden: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """The image attends to itself: (N, n, C), and the place of each of n cells, (1, n, C), to (N, n, C)."""
        normed = self._norms[0](hidden)
        placed = normed + position
        return self._itself(placed, placed, normed) + hidden

    def read(self, hidden: torch.Tensor, text: Text) -> torch.Tensor:
        """The rest: (N, n, C), or (1, n, C) that all prompts share, to (N, n, C)."""
        hidden = self._prompt(self._norms[1](hidden), text.features, text.features, text.mask) + hidden
        return self._widen(self._norms[2](hidden)) + hidden


class Queries(NamedTuple):
    """The decoder's queries, the presence token first, before they read the prompt.

    Args:
        hidden: (N, 1 + Q, C), or (1, 1 + Q, C) that all prompts share.
        position: The same of their boxes.
        bias: (N or 1, heads, 1 + Q, h * w), by their boxes, to what they attend in the image.
    """

    hidden: torch.Tensor
    position: torch.Tensor
    bias: torch.Tensor


class DecoderLayer:
    """A layer of the decoder.

    Args:
        layer: The reference's.
    """

    def __init__(self, layer: Any) -> None:
        self._itself, self._itself_norm = Attention(layer.self_attn), norm(layer.self_attn_layer_norm)
        self._text, self._text_norm = Attention(layer.text_cross_attn), norm(layer.text_cross_attn_layer_norm)
        self._image, self._image_norm = Attention(layer.vision_cross_attn), norm(layer.vision_cross_attn_layer_norm)
        self._widen, self._widen_norm = widening(layer.mlp), norm(layer.mlp_layer_norm)

    def attend(self, hidden: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Queries attend to each other; (N, 1 + Q, C)."""
        placed = hidden + position
        return self._itself_norm(hidden + self._itself(placed, placed, hidden))

    def read(self, queries: Queries, text: Text, encoded: torch.Tensor, placed: torch.Tensor) -> torch.Tensor:
        """They read prompt and image; (N, 1 + Q, C).

        Args:
            queries: Of N prompts.
            text: Of N prompts.
            encoded: (N, n, C), the image.
            placed: The same with the places of its cells.
        """
        hidden, position, bias = queries
        hidden = self._text_norm(hidden + self._text(hidden + position, text.features, text.features, text.mask))
        hidden = self._image_norm(hidden + self._image(hidden + position, placed, encoded, bias))
        return self._widen_norm(hidden + self._widen(hidden))


class Boxes:
    """Where the queries look.

    Args:
        decoder: The reference's.
    """

    def __init__(self, decoder: Any) -> None:
        self._place, self._move = perceptron(decoder.ref_point_head), perceptron(decoder.box_head)
        self._along_x, self._along_y = perceptron(decoder.box_rpb_embed_x), perceptron(decoder.box_rpb_embed_y)
        self._dtype = decoder.ref_point_head.layer1.weight.dtype
        self._waves = decoder.ref_point_head.layer1.in_features // 4
        self._scale, self._temperature = decoder.position_encoding.scale, decoder.position_encoding.temperature

    def position(self, boxes: torch.Tensor) -> torch.Tensor:
        """(N, Q, 4) as centre and size to (N, 1 + Q, C); 0 for the presence token."""
        pairs = 2 * (torch.arange(self._waves, device=boxes.device, dtype=torch.int64) // 2).to(boxes.dtype)
        lengths = self._temperature ** (pairs / self._waves)
        x, y, width, height = boxes.unbind(-1)
        angles = torch.stack((y, x, width, height), -1)[..., None] * self._scale / lengths  # (N, Q, 4, waves)
        waves = torch.stack((angles[..., 0::2].sin(), angles[..., 1::2].cos()), -1).flatten(2)
        return F.pad(self._place(waves.to(self._dtype)), (0, 0, 1, 0))

    def bias(self, boxes: torch.Tensor, side: int) -> torch.Tensor:
        """Of attention from each box's edges to each cell, (N, heads, 1 + Q, side * side); 0 for the presence token."""
        edges = to_xyxy(boxes).unflatten(2, (2, 2)).permute(3, 0, 1, 2).contiguous()  # (x and y, N, Q, both edges)
        centres = torch.arange(side, device=edges.device, dtype=edges.dtype) / side
        deltas = (centres[:, None] - edges[..., None, :]) * RPB_SCALE  # (2, N, Q, side, 2)
        scaled = (deltas.sign() * torch.log2(deltas.abs() + 1.0) / math.log2(RPB_SCALE)).to(self._dtype)
        along_x, along_y = (
            F.pad(embed(scaled[axis]).permute(0, 3, 1, 2), (0, 0, 1, 0))  # (N, heads, 1 + Q, side)
            for axis, embed in enumerate((self._along_x, self._along_y))
        )
        return (along_y[..., :, None] + along_x[..., None, :]).flatten(-2)

    def moved(self, boxes: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """After a layer, whose queries are (N, Q, C): (N, Q, 4), float32: half precision would be 1 px here."""
        return (self._move(queries).float() + inverse_sigmoid(boxes)).sigmoid()


def to_xyxy(boxes: torch.Tensor) -> torch.Tensor:
    """Centre and size to corners."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat((centre - 0.5 * size, centre + 0.5 * size), -1)


def inverse_sigmoid(values: torch.Tensor) -> torch.Tensor:
    """As the reference's: both ends are clamped."""
    low, high = values.clamp(min=_SIGMOID_MARGIN), (1 - values).clamp(min=_SIGMOID_MARGIN)
    return torch.log(low / high)
