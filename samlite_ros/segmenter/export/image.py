"""The image encoder as it is exported: in stages, without padding, with nothing left to compute that is constant.

The numbers are those of `pytorch.image_encoder`, to rounding. What is different, since a graph is fixed:

- One product gives queries, keys and values. Their scale is in the weights, and the order of each head's numbers is
  such that a rotation turns halves, not neighbours: scores do not see the order.
- Attention does not see the order of keys either: padding's constant keys stand behind those of an incomplete window.
- Softmax and rotation are float32, whatever the rest is.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from samlite_ros.segmenter.pytorch.image_encoder import rotation_of
from samlite_ros.segmenter.pytorch.windows import WindowGroup, WindowLayout, lay_out


class ImageStage(nn.Module):
    """Some layers of the image encoder.

    The first stage takes `image`, uint8 (1, S, S, 3), RGB; the others `hidden`, (n, C). All but the last return
    `hidden`; the last returns what decoding needs for any phrase.

    Args:
        model: A prepared network.
        layers: Which of its layers.
        finish: What the last stage does with the grid (1, C, h, w); None in the others.
    """

    def __init__(self, model: Any, layers: range, finish: nn.Module | None) -> None:
        super().__init__()
        backbone = model.vision_encoder.backbone
        config = backbone.config
        self.side = int(model.config.image_size) // int(config.patch_size)
        layout = lay_out(self.side, int(config.window_size), torch.device("cpu"))
        self.first = _Embedding(backbone, layout, self.side) if layers.start == 0 else nn.Identity()
        self.blocks = nn.ModuleList(_Block(backbone.layers[i], layout) for i in layers)
        self.finish = finish
        self.register_buffer("inverse", layout.inverse, persistent=False)

    def forward(self, values: torch.Tensor) -> Any:
        hidden = self.first(values)
        for block in self.blocks:
            hidden = block(hidden)
        if self.finish is None:
            return hidden
        return self.finish(hidden[self.inverse].T.reshape(1, -1, self.side, self.side))


class _Embedding(nn.Module):
    """From bytes to normalised tokens (n, C), in window order."""

    def __init__(self, backbone: Any, layout: WindowLayout, side: int) -> None:
        super().__init__()
        embeddings = backbone.embeddings
        self.patches = embeddings.patch_embeddings.projection
        self.layer_norm = backbone.layer_norm
        table = embeddings._tile_position_embeddings(embeddings.position_embeddings, side, side)[0]
        self.register_buffer("table", table.detach()[layout.order].clone(), persistent=False)
        self.register_buffer("order", layout.order, persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pixels = (image.float() * (2 / 255) - 1).permute(0, 3, 1, 2)
        tokens = self.patches(pixels.to(self.patches.weight.dtype)).flatten(2)[0].T  # (n, C)
        return self.layer_norm(tokens[self.order] + self.table)


class _Block(nn.Module):
    """One layer on (n, C)."""

    def __init__(self, layer: Any, layout: WindowLayout) -> None:
        super().__init__()
        self.layer_norm1, self.layer_norm2, self.mlp = layer.layer_norm1, layer.layer_norm2, layer.mlp
        self.output = layer.attention.o_proj
        self.attention = _Attention(layer, layout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden + self.output(self.attention(self.layer_norm1(hidden)))
        return hidden + self.mlp(self.layer_norm2(hidden))


class _Attention(nn.Module):
    """Attention of one layer, (n, C) to (n, C), before the output's projection."""

    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, layer: Any, layout: WindowLayout) -> None:
        super().__init__()
        attention = layer.attention
        self.heads = int(attention.num_attention_heads)
        self.dtype = attention.q_proj.weight.dtype
        self.projection = _joint_projection(attention, self.heads)
        windowed = bool(layer.window_size)
        tables = [table[:, 0] for table in rotation_of(layer)]  # (places, d / 2) each
        at = layout.places if windowed else layout.order
        for name, table in zip(("cos", "sin"), tables, strict=True):
            self.register_buffer(name, table[at][:, None, None].clone(), persistent=False)  # (n, 1, 1, d / 2)
        everything = WindowGroup(slice(0, len(layout.order)), 1, len(layout.order), None)
        self.groups = layout.groups if windowed else (everything,)
        for number, group in enumerate(self.groups):
            if group.keys is not None:
                padding = self._padding(tables, group, layout)
                self.register_buffer(f"keys_{number}", padding[0], persistent=False)
                self.register_buffer(f"values_{number}", padding[1], persistent=False)

    def forward(self, normed: torch.Tensor) -> torch.Tensor:
        joint = self.projection(normed).unflatten(1, (3, self.heads, -1))  # (n, 3, heads, d)
        turned = _rotate(joint[:, :2].float(), self.cos, self.sin).to(self.dtype)
        query, key, value = turned[:, 0], turned[:, 1], joint[:, 2]
        found = [self._attend(i, group, query, key, value) for i, group in enumerate(self.groups)]
        return torch.cat(found) if len(found) > 1 else found[0]

    def _attend(
        self, number: int, group: WindowGroup, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        """One group of windows: (n, heads, d) each to (B * m, C)."""
        parts = [part[group.tokens].unflatten(0, (group.count, group.size)) for part in (query, key, value)]
        query, key, value = (part.transpose(1, 2) for part in parts)  # (B, heads, m, d)
        if group.keys is not None:
            key = torch.cat((key, getattr(self, f"keys_{number}")), 2)
            value = torch.cat((value, getattr(self, f"values_{number}")), 2)
        weights = F.softmax((query @ key.transpose(2, 3)).float(), -1).to(self.dtype)
        return (weights @ value).transpose(1, 2).flatten(2).flatten(0, 1)

    def _padding(
        self, tables: list[torch.Tensor], group: WindowGroup, layout: WindowLayout
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a group's padding, (B, heads, p, d) each."""
        assert group.keys is not None
        missing = group.keys[: len(group.keys) // group.count] - len(layout.order)
        places = layout.padding[missing[missing >= 0]]
        _, key, value = self.projection.bias.float().unflatten(0, (3, self.heads, -1))  # (heads, d) each
        key = _rotate(key[None], *(table[places][:, None] for table in tables))  # (p, heads, d)
        spread = (part.expand(len(places), -1, -1).transpose(0, 1) for part in (key, value))
        keys, values = (part.expand(group.count, -1, -1, -1).to(self.dtype).clone() for part in spread)
        return keys, values


def _joint_projection(attention: Any, heads: int) -> nn.Linear:
    """Queries, scaled, keys and values as one product; each head's numbers of queries and keys: evens, then odds."""
    width, head = attention.q_proj.weight.shape[0], attention.q_proj.weight.shape[0] // heads
    order = torch.arange(width).view(heads, head // 2, 2).transpose(1, 2).flatten()
    scale = head**-0.5
    query, key, value = attention.q_proj, attention.k_proj, attention.v_proj
    joint = nn.Linear(query.weight.shape[1], 3 * width, dtype=query.weight.dtype)
    with torch.no_grad():
        joint.weight.copy_(torch.cat((query.weight[order] * scale, key.weight[order], value.weight)))
        joint.bias.copy_(torch.cat((query.bias[order] * scale, key.bias[order], value.bias)))
    return joint.requires_grad_(False)


def _rotate(values: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn (..., d), whose halves are the pairs' first and second numbers."""
    first, second = values.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
