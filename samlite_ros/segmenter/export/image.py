"""The image encoder as it is exported: in stages, without padding, with nothing left to compute that is constant.

The numbers are those of `pytorch.image_encoder`, to rounding. What is different, since a graph is fixed:

- Queries and keys come from two products: the first numbers of all pairs that a rotation turns, and the second ones.
  Their scale is in the weights. A head's pairs stand apart then: scores do not see the order. They are turned head by
  head, where the tables need not be repeated.
- Attention does not see the order of keys either: padding's constant keys stand behind those of an incomplete window.
- Softmax and rotation are float32, whatever the rest is.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from samlite_ros.segmenter.export.rows import join
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
        self.width = attention.q_proj.weight.shape[0] // self.heads
        self.dtype = attention.q_proj.weight.dtype
        self.first, self.second = (half.to(self.dtype) for half in _halves(attention))
        self.value = attention.v_proj
        windowed = bool(layer.window_size)
        tables = [table[:, 0] for table in rotation_of(layer)]  # (places, d / 2) each
        at = layout.places if windowed else layout.order
        for name, table in zip(("cos", "sin"), tables, strict=True):
            self.register_buffer(name, table[at].clone(), persistent=False)  # (n, d / 2)
        everything = WindowGroup(slice(0, len(layout.order)), 1, len(layout.order), None)
        self.groups = layout.groups if windowed else (everything,)
        for number, group in enumerate(self.groups):
            if group.keys is not None:
                padding = self._padding(attention, tables, group, layout)
                self.register_buffer(f"keys_{number}", padding[0], persistent=False)
                self.register_buffer(f"values_{number}", padding[1], persistent=False)

    def forward(self, normed: torch.Tensor) -> torch.Tensor:
        turned, value = self._turn(normed), self.value(normed)
        query, key = turned[: self.heads], turned[self.heads :]  # (heads, n, d) each
        found = [self._attend(i, group, query, key, value) for i, group in enumerate(self.groups)]
        return torch.cat(found) if len(found) > 1 else found[0]

    def _turn(self, normed: torch.Tensor) -> torch.Tensor:
        """(n, C) to queries and keys (2 * heads, n, d): first numbers of each head's pairs, then second."""
        first, second = (
            product(normed).view(-1, 2 * self.heads, self.width // 2).transpose(0, 1).float()
            for product in (self.first, self.second)
        )
        return rotate_halves(first, second, self.cos, self.sin).to(self.dtype)

    def _attend(
        self, number: int, group: WindowGroup, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        """One group of windows: (heads, n, d), (heads, n, d), (n, C) to (B * m, C)."""
        shape = (self.heads, group.count, group.size, self.width)
        if len(self.groups) > 1:
            query, key, value = query[:, group.tokens], key[:, group.tokens], value[group.tokens]
        query, key = query.reshape(shape), key.reshape(shape)
        value = value.view(group.count, group.size, self.heads, self.width).permute(2, 0, 1, 3)
        if group.keys is not None:
            key = torch.cat((key, getattr(self, f"keys_{number}")), 2)
            value = torch.cat((value, getattr(self, f"values_{number}")), 2)
        weights = F.softmax((query @ key.transpose(2, 3)).float(), -1).to(self.dtype)
        return (weights @ value).permute(1, 2, 0, 3).reshape(-1, self.heads * self.width)

    def _padding(
        self, attention: Any, tables: list[torch.Tensor], group: WindowGroup, layout: WindowLayout
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a group's padding, (heads, B, p, d) each."""
        assert group.keys is not None
        missing = group.keys[: len(group.keys) // group.count] - len(layout.order)
        places = layout.padding[missing[missing >= 0]]
        first, second = (
            product.bias.float().view(2, self.heads, 1, -1)[1] for product in (self.first, self.second)
        )  # of keys, (heads, 1, d / 2)
        key = rotate_halves(first, second, *(table[places] for table in tables))  # (heads, p, d)
        value = attention.v_proj.bias.view(self.heads, 1, -1).expand(-1, len(places), -1)
        keys, values = (p[:, None].expand(-1, group.count, -1, -1).to(self.dtype).clone() for p in (key, value))
        return keys, values


def _halves(attention: Any) -> list[nn.Linear]:
    """Two products for queries, scaled, and keys: first numbers of all their pairs, and second."""
    joint = join((attention.q_proj, attention.k_proj), (float(attention.scaling), 1.0))
    found = []
    for place in range(2):
        half = nn.Linear(joint.in_features, joint.out_features // 2).requires_grad_(False)
        half.load_state_dict({name: values[place::2] for name, values in joint.state_dict().items()})
        found.append(half)
    return found


def rotate_halves(first: torch.Tensor, second: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn pairs whose numbers stand apart: (..., d / 2) each to (..., d), halves likewise."""
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
