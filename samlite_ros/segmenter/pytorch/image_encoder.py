"""The image encoder without the work that its reference does on padding.

The numbers are the reference's. What is saved:

- Windows at the image's edges are padded to their full size there, 1,296 tokens to 2,304 at 504 px. Padding is zero
  when it is projected, so that its keys and values are the projections' biases: known before the image. Here no query,
  projection or rotation of padding is computed; attention reads the same keys in the same order.
- Rotations are computed once, not in every layer.
- The coarsest scale and the position encodings that decoding does not read are left out.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from samlite_ros.segmenter.backend import Callback, go_on
from samlite_ros.segmenter.pytorch.decoder import ImageFeatures
from samlite_ros.segmenter.pytorch.windows import WindowLayout, lay_out

_ROWS = 8
"""Kernels multiply so many rows at once, and what remains in another order of sums: an incomplete window's queries are
filled up to it, so that theirs are the sums of the whole window."""

Rotation = tuple[torch.Tensor, torch.Tensor]
"""Cosine and sine of each pair of a head's numbers, float32 (n, 1, d / 2)."""


class ImageEncoder(nn.Module):
    """A network's vision encoder on single images of the size that its configuration names.

    Args:
        vision_encoder: Of a Sam3LiteTextModel in evaluation mode, on its device, with its weights.
    """

    def __init__(self, vision_encoder: Any) -> None:
        super().__init__()
        self.vision_encoder = vision_encoder
        backbone = vision_encoder.backbone
        config, weight = backbone.config, backbone.layers[0].attention.k_proj.weight
        self.side = int(config.image_size) // int(config.patch_size)
        self.layout = lay_out(self.side, int(config.window_size), weight.device)
        self.blocks = [self._block(layer) for layer in backbone.layers]
        self._position: torch.Tensor | None = None

    def forward(self, pixels: torch.Tensor, on_block: Callback = go_on) -> ImageFeatures:
        """Features of one image.

        Args:
            pixels: (1, 3, size, size), -1 .. 1.
            on_block: Called before each block of the ViT and each scale of the neck.
        """
        backbone = self.vision_encoder.backbone
        hidden = backbone.layer_norm(backbone.embeddings(pixels))[0][self.layout.order]  # (n, C)
        for block in self.blocks:
            on_block()
            hidden = block(hidden)
        return self._scales(hidden[self.layout.inverse], on_block)

    def _scales(self, hidden: torch.Tensor, on_block: Callback) -> ImageFeatures:
        """The neck, from (n, C) row by row."""
        neck = self.vision_encoder.neck
        grid = hidden.view(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        maps = []
        for scale in neck.fpn_layers[:-1]:  # no one reads the coarsest
            on_block()
            maps.append(scale(grid))
        if self._position is None:
            self._position = neck.position_encoding(maps[-1].shape, maps[-1].device, maps[-1].dtype)
        return ImageFeatures(tuple(maps), self._position)

    def _block(self, layer: Any) -> Block:
        if layer.window_size:
            return Block(layer, WindowAttention(layer, self.layout))
        return Block(layer, GlobalAttention(layer, self.layout))


class Block:
    """One layer of the ViT on (n, C) tokens in window order.

    Args:
        layer: The reference's.
        attention: Attention without the projections around it.
    """

    def __init__(self, layer: Any, attention: WindowAttention | GlobalAttention) -> None:
        self.layer, self.attention = layer, attention
        self.heads = int(layer.attention.num_attention_heads)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """(n, C) to (n, C)."""
        layer, projections = self.layer, self.layer.attention
        normed = layer.layer_norm1(hidden)
        query, key, value = (
            project(normed).unflatten(1, (self.heads, -1))  # (n, heads, d)
            for project in (projections.q_proj, projections.k_proj, projections.v_proj)
        )
        hidden = hidden + projections.o_proj(self.attention(query, key, value).flatten(1))
        return hidden + layer.mlp(layer.layer_norm2(hidden))


class WindowAttention:
    """Attention within windows; padding's keys and values are constants.

    Args:
        layer: The reference's.
        layout: The windows.
    """

    def __init__(self, layer: Any, layout: WindowLayout) -> None:
        self._groups, self._eager = layout.groups, _is_eager(layer)
        tables = rotation_of(layer)
        self._rotation: Rotation = tuple(table[layout.places] for table in tables)  # type: ignore[assignment]
        self._padding = _padding(layer, tables, layout.padding) if len(layout.padding) else None

    def __call__(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(n, heads, d) each, in window order, to (n, heads, d)."""
        query, key = rotate(query, self._rotation), rotate(key, self._rotation)
        if self._padding is None:
            (group,) = self._groups
            query, key, value = (part.unflatten(0, (group.count, -1)) for part in (query, key, value))
            return attend(query, key, value, self._eager).flatten(0, 1)
        all_keys, all_values = (torch.cat(pair) for pair in zip((key, value), self._padding, strict=True))
        found = []
        for group in self._groups:
            at = group.tokens if group.keys is None else group.keys
            parts = (query[group.tokens], all_keys[at], all_values[at])
            queries, keys, values = (part.unflatten(0, (group.count, -1)) for part in parts)
            queries = F.pad(queries, (0, 0, 0, 0, 0, -group.size % _ROWS))
            found.append(attend(queries, keys, values, self._eager)[:, : group.size].flatten(0, 1))
        return torch.cat(found)


class GlobalAttention:
    """Attention of all tokens to all; keys are read row by row, as the reference does.

    Args:
        layer: The reference's.
        layout: The order of the tokens.
    """

    def __init__(self, layer: Any, layout: WindowLayout) -> None:
        self._inverse, self._eager = layout.inverse, _is_eager(layer)
        self._rotation: Rotation = tuple(table[layout.order] for table in rotation_of(layer))  # type: ignore[assignment]

    def __call__(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(n, heads, d) each, in window order, to (n, heads, d)."""
        query, key = rotate(query, self._rotation), rotate(key, self._rotation)
        return attend(query[None], key[self._inverse][None], value[self._inverse][None], self._eager)[0]


def rotate(values: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turn each pair of numbers of (n, heads, d), computed in float32 as the reference does."""
    cos, sin = rotation
    first, second = values.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((first * cos - second * sin, second * cos + first * sin), -1)
    return turned.flatten(-2).to(values.dtype)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, eager: bool) -> torch.Tensor:
    """Attention of (B, m, heads, d) to (B, k, heads, d); (B, m, heads, d).

    Args:
        query, key, value: See above.
        eager: Product, softmax, product, instead of torch's fused attention.
    """
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    if not eager:
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
    weights = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).softmax(-1)
    return (weights @ value).transpose(1, 2)


def _is_eager(layer: Any) -> bool:
    return bool(layer.attention.config._attn_implementation == "eager")


def rotation_of(layer: Any) -> Rotation:
    """The layer's rotations, one row per place of its window or grid."""
    if hasattr(layer, "position_ids"):
        cos, sin = (table[0] for table in layer.rotary_emb(layer.position_ids, layer.position_ids))
    else:  # transformers before 5.20
        cos, sin = layer.rotary_emb()
    return cos[:, None, ::2], sin[:, None, ::2]  # each number stands there twice


def _padding(layer: Any, tables: Rotation, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of padding, (p, heads, d) each."""
    attention = layer.attention
    key, value = (
        projection.bias.unflatten(0, (attention.num_attention_heads, -1)).expand(len(places), -1, -1)
        for projection in (attention.k_proj, attention.v_proj)
    )
    return rotate(key, (tables[0][places], tables[1][places])), value.contiguous()
