"""The text's graph, and where the image's is cut."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from samlite_ros.segmenter.pytorch.decoder import TextFeatures
from samlite_ros.segmenter.pytorch.shared_decode import additive_mask


class Text(nn.Module):
    """Features (T, 32, C) of T phrases; without the pooling, which nobody reads."""

    def __init__(self, model: Any, tokens: int) -> None:
        super().__init__()
        self.encoder, self.projection = model.text_encoder, model.text_projection
        table = self.encoder.embeddings.position_embedding(tokens)
        self.register_buffer("table", table.detach().clone(), persistent=False)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.encoder.embeddings.token_embedding(input_ids) + self.table
        mask = additive_mask(TextFeatures(hidden, attention_mask))
        for layer in self.encoder.layers:
            hidden = layer(hidden, attention_mask=mask)
        return self.projection(self.encoder.final_layer_norm(hidden))


def image_stages(model: Any) -> list[range]:
    """The layers of each stage: a stage ends with a global layer, so that a late query need not wait for the others."""
    backbone = model.vision_encoder.backbone
    count = len(backbone.layers)
    ends = sorted({i + 1 for i in backbone.config.global_attn_indexes if i + 1 < count} | {count})
    return [range(start, stop) for start, stop in zip([0, *ends], ends, strict=False)]


def position_encoding(model: Any, side: int, dtype: torch.dtype) -> torch.Tensor:
    """(1, C, h, w) of the coarsest map that is read."""
    neck = model.vision_encoder.neck
    width = neck.fpn_layers[-2].proj2.weight.shape[0]
    encoding: torch.Tensor = neck.position_encoding(
        torch.Size((1, width, side, side)), torch.device("cpu"), torch.float32
    )
    return encoding.to(dtype)
