"""The image encoder without the work that its reference does on padding.

The numbers are the reference's. What is saved:

- Windows at the image's edges are padded to their full size there, 1,296 tokens to 2,304 at 504 px. Padding is zero
  when it is projected, so that its keys and values are the projections' biases: known before the image. Here no query,
  projection or rotation of padding is computed; attention reads the same keys in the same order.
- Rotations are computed once, not in every layer.
- The coarsest scale and the position encodings that decoding does not read are left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from samlite_ros.segmenter.backend import Callback, go_on
from samlite_ros.segmenter.pytorch.decoder import ImageFeatures
from samlite_ros.segmenter.pytorch.kept_tokens import Chosen, KeptTokens, LayerTokens, choose
from samlite_ros.segmenter.pytorch.products import linear, widening
from samlite_ros.segmenter.pytorch.windows import WindowLayout, lay_out

_REACH = 1
"""Tokens that the neck's widest kernel sees around each."""
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

    def forward(
        self, pixels: torch.Tensor, on_block: Callback = go_on, keep: KeptTokens | None = None
    ) -> ImageFeatures:
        """Features of one image.

        Args:
            pixels: (1, 3, size, size), -1 .. 1.
            on_block: Called before each block of the ViT and each scale of the neck.
            keep: Empty; takes what `update` needs.
        """
        hidden = self._embed(pixels)[self.layout.order]  # (n, C)
        for block in self.blocks:
            on_block()
            hidden = block(hidden, None if keep is None else keep.layers)
        features = self._scales(hidden, on_block)
        if keep is not None:
            keep.hidden, keep.features = hidden, features
        return features

    def update(
        self, pixels: torch.Tensor, kept: KeptTokens, changed: torch.Tensor, on_block: Callback = go_on
    ) -> ImageFeatures:
        """Features of an image that differs in some patches from the one that was kept; those alone are computed.

        The others keep what they were, though layers that look far would have seen the change: an approximation.

        Args:
            pixels: (1, 3, size, size), -1 .. 1.
            kept: Of the image before; it is brought up to date, and of no use where this raises.
            changed: bool (n,), row by row.
            on_block: See `forward`.
        """
        if kept.hidden is None or kept.features is None:
            raise ValueError("nothing was kept of the image before")
        chosen = choose(self.layout, changed)
        if not len(chosen.index):
            return replace(kept.features)
        hidden = self._embed_some(pixels, self.layout.order[chosen.index])
        for block, tokens in zip(self.blocks, kept.layers, strict=True):
            on_block()
            hidden = block.update(hidden, tokens, chosen)
        kept.hidden = kept.hidden.clone()
        kept.hidden[chosen.index] = hidden
        kept.features = update_maps(self._necks, self._grid(kept.hidden), kept.features, changed, on_block)
        return kept.features

    @property
    def kept_bytes(self) -> int:
        """Memory that `KeptTokens` of one image take."""
        weight = self.blocks[0].layer.attention.k_proj.weight
        return (2 * len(self.blocks) + 1) * self.side**2 * int(weight.shape[0]) * weight.element_size()

    @property
    def _necks(self) -> Any:
        return self.vision_encoder.neck.fpn_layers[:-1]  # no one reads the coarsest

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, C), row by row."""
        backbone = self.vision_encoder.backbone
        embedded: torch.Tensor = backbone.layer_norm(backbone.embeddings(pixels))[0]
        return embedded

    def _embed_some(self, pixels: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """(m, C) of the patches at these places of the grid."""
        backbone, side = self.vision_encoder.backbone, self.side
        embeddings = backbone.embeddings
        weight = embeddings.patch_embeddings.projection.weight
        patches = pixels[0].unflatten(1, (side, -1)).unflatten(3, (side, -1)).permute(1, 3, 0, 2, 4).flatten(0, 1)
        table = embeddings._tile_position_embeddings(embeddings.position_embeddings, side, side)[0]
        tokens = F.linear(patches[places].flatten(1), weight.flatten(1)) + table[places]
        embedded: torch.Tensor = backbone.layer_norm(tokens)
        return embedded

    def _grid(self, hidden: torch.Tensor) -> torch.Tensor:
        """(n, C) in window order to (1, C, side, side)."""
        return hidden[self.layout.inverse].view(1, self.side, self.side, -1).permute(0, 3, 1, 2)

    def _scales(self, hidden: torch.Tensor, on_block: Callback) -> ImageFeatures:
        """The neck, from (n, C) in window order."""
        grid, maps = self._grid(hidden), []
        for scale in self._necks:
            on_block()
            maps.append(scale(grid))
        if self._position is None:
            encode = self.vision_encoder.neck.position_encoding
            self._position = encode(maps[-1].shape, maps[-1].device, maps[-1].dtype)
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
        self.layer, self.attention, parts = layer, attention, layer.attention
        self.heads = int(parts.num_attention_heads)
        self._inputs = [linear(part, to_the_bit=True) for part in (parts.q_proj, parts.k_proj, parts.v_proj)]
        self._output, self._widen = linear(parts.o_proj, to_the_bit=True), widening(layer.mlp, to_the_bit=True)

    def __call__(self, hidden: torch.Tensor, keep: list[LayerTokens] | None = None) -> torch.Tensor:
        """(n, C) to (n, C); keys and values are added to what is kept."""
        query, key, value = self._project(hidden)
        query, key = (rotate(part, self.attention.rotation) for part in (query, key))
        if keep is not None:
            keep.append(LayerTokens(key, value))
        return self._finish(hidden, self.attention(query, key, value))

    def update(self, hidden: torch.Tensor, tokens: LayerTokens, chosen: Chosen) -> torch.Tensor:
        """(m, C) of the chosen tokens to (m, C)."""
        query, key, value = self._project(hidden)
        rotation = (self.attention.rotation[0][chosen.index], self.attention.rotation[1][chosen.index])
        query, key = (rotate(part, rotation) for part in (query, key))
        tokens.put(chosen, key, value)
        return self._finish(hidden, self.attention.update(query, tokens, chosen))

    def _project(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values, (n, heads, d) each."""
        normed = self.layer.layer_norm1(hidden)
        query, key, value = (project(normed) for project in self._inputs)
        size = (self.heads, -1)
        return query.unflatten(1, size), key.unflatten(1, size), value.unflatten(1, size)

    def _finish(self, hidden: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """All that comes after attention, (n, heads, d)."""
        hidden = hidden + self._output(attended.flatten(1))
        return hidden + self._widen(self.layer.layer_norm2(hidden))


class WindowAttention:
    """Attention within windows; padding's keys and values are constants.

    Args:
        layer: The reference's.
        layout: The windows.
    """

    def __init__(self, layer: Any, layout: WindowLayout) -> None:
        self._layout, self._eager = layout, _is_eager(layer)
        tables = rotation_of(layer)
        self.rotation: Rotation = (tables[0][layout.places], tables[1][layout.places])
        self._padding = _padding(layer, tables, layout.padding)

    def __call__(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(n, heads, d) each, rotated, to (n, heads, d)."""
        groups = self._layout.groups
        if len(groups) == 1 and groups[0].keys is None:
            query, key, value = (part.unflatten(0, (groups[0].count, -1)) for part in (query, key, value))
            return attend(query, key, value, self._eager).flatten(0, 1)
        all_keys, all_values = (torch.cat(pair) for pair in zip((key, value), self._padding, strict=True))
        found = []
        for group in groups:
            at = group.tokens if group.keys is None else group.keys
            parts = (query[group.tokens], all_keys[at], all_values[at])
            queries, keys, values = (part.unflatten(0, (group.count, -1)) for part in parts)
            queries = F.pad(queries, (0, 0, 0, 0, 0, -group.size % _ROWS))
            found.append(attend(queries, keys, values, self._eager)[:, : group.size].flatten(0, 1))
        return torch.cat(found)

    def update(self, query: torch.Tensor, tokens: LayerTokens, chosen: Chosen) -> torch.Tensor:
        """(m, heads, d) of the chosen tokens, rotated, to (m, heads, d)."""
        found = []
        for number, first, count in chosen.windows:
            window = self._layout.windows[number]
            keys, values = tokens.keys[window.tokens], tokens.values[window.tokens]
            if window.keys is not None:
                pairs = zip((keys, values), self._padding, strict=True)
                keys, values = (torch.cat(pair)[window.keys] for pair in pairs)
            found.append(attend(query[None, first : first + count], keys[None], values[None], self._eager)[0])
        return torch.cat(found)


class GlobalAttention:
    """Attention of all tokens to all; keys are read row by row, as the reference does.

    Args:
        layer: The reference's.
        layout: The order of the tokens.
    """

    def __init__(self, layer: Any, layout: WindowLayout) -> None:
        self._inverse, self._eager = layout.inverse, _is_eager(layer)
        tables = rotation_of(layer)
        self.rotation: Rotation = (tables[0][layout.order], tables[1][layout.order])

    def __call__(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(n, heads, d) each, rotated, to (n, heads, d)."""
        return attend(query[None], key[self._inverse][None], value[self._inverse][None], self._eager)[0]

    def update(self, query: torch.Tensor, tokens: LayerTokens, chosen: Chosen) -> torch.Tensor:
        """(m, heads, d) of the chosen tokens, rotated, to (m, heads, d)."""
        return attend(query[None], tokens.keys[None], tokens.values[None], self._eager)[0]


def update_maps(
    scales: Any, grid: torch.Tensor, before: ImageFeatures, changed: torch.Tensor, on_block: Callback
) -> ImageFeatures:
    """The neck's maps where they differ from those before: the box around what changed, and what its kernels reach.

    Args:
        scales: The neck's layers.
        grid: (1, C, side, side).
        before: Its maps are not written to.
        changed: bool (n,), row by row.
        on_block: Called before each scale.
    """
    side = grid.shape[-1]
    there = changed.view(side, side)
    reached = [_extent(there.any(axis), _REACH, side) for axis in (1, 0)]
    read = [_extent(there.any(axis), 2 * _REACH, side) for axis in (1, 0)]
    part, maps = grid[:, :, read[0], read[1]], []
    for scale, old in zip(scales, before.maps, strict=True):
        on_block()
        fine = old.shape[-1] // side
        pairs = zip(reached, read, strict=True)
        inner = [slice(fine * (r.start - w.start), fine * (r.stop - w.start)) for r, w in pairs]
        outer = [slice(fine * r.start, fine * r.stop) for r in reached]
        new = old.clone()
        new[:, :, outer[0], outer[1]] = scale(part)[:, :, inner[0], inner[1]]
        maps.append(new)
    return ImageFeatures(tuple(maps), before.position_encoding)


def _extent(used: torch.Tensor, margin: int, side: int) -> slice:
    places = torch.nonzero(used)[:, 0]
    return slice(max(int(places[0]) - margin, 0), min(int(places[-1]) + 1 + margin, side))


def rotate(values: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turn each pair of numbers of (n, heads, d), computed in float32 as the reference does."""
    cos, sin = rotation
    pairs = values.float().unflatten(-1, (-1, 2))
    if values.device.type == "cpu" and not torch.compiler.is_compiling():  # the same numbers, several times faster
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.complex(cos, sin))
    else:
        first, second = pairs.unbind(-1)
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
    return cos[:, None, ::2].float(), sin[:, None, ::2].float()  # each number stands there twice


def _padding(layer: Any, tables: Rotation, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of padding, (p, heads, d) each."""
    attention = layer.attention
    key, value = (
        projection.bias.unflatten(0, (attention.num_attention_heads, -1)).expand(len(places), -1, -1)
        for projection in (attention.k_proj, attention.v_proj)
    )
    return rotate(key, (tables[0][places], tables[1][places])), value.contiguous()
