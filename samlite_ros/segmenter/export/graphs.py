"""The network cut into the graphs that are exported: proposals, masks, text, and the end of the image's.

What the product computes with torch, written so that torch.export can follow it: the numbers of phrases and of kept
queries stay free, and whatever depends only on the input's size is a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from samlite_ros.segmenter.backend import go_on
from samlite_ros.segmenter.pytorch.decoder import ImageFeatures, TextFeatures
from samlite_ros.segmenter.pytorch.shared_decode import SharedDecoder, SharedImage, additive_mask


class ImageFinish(nn.Module):
    """From the last layer's grid (1, C, h, w) to what decoding needs for any phrase.

    Returns `attended` (1, h * w, C) and the finer maps' share of the pixel decoder's convolutions, coarse to fine.
    """

    position: torch.Tensor

    def __init__(self, model: Any, position: torch.Tensor) -> None:
        super().__init__()
        self.scales = model.vision_encoder.neck.fpn_layers[:-1]  # no one reads the coarsest
        self.convolutions = model.mask_decoder.pixel_decoder.conv_layers
        self.decoder = SharedDecoder(model)
        self.register_buffer("position", position, persistent=False)

    def forward(self, grid: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps = tuple(scale(grid) for scale in self.scales)
        shared = self.decoder.prepare(ImageFeatures(maps, self.position))
        convolved = [conv(finer) for conv, finer in zip(self.convolutions, maps[-2::-1], strict=False)]
        return shared.attended, *convolved


class Proposals(nn.Module):
    """N phrases over one image.

    Returns scores (N, Q), presence (N,), boxes (N, Q, 4), queries (N, Q, C), encoded (N, h * w, C).
    """

    position: torch.Tensor

    def __init__(self, model: Any, position: torch.Tensor) -> None:
        super().__init__()
        self.decoder = SharedDecoder(model)
        self.register_buffer("position", position, persistent=False)

    def forward(self, attended: torch.Tensor, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        position = self.position.flatten(2).transpose(1, 2)  # (1, h * w, C)
        shared = SharedImage(attended, position, (self.position,))  # of the maps only the shape is read
        found = self.decoder.propose(shared, TextFeatures(features, mask), go_on)
        return found.scores, found.presence, found.boxes_xyxy, found.queries, found.encoded


class Masks(nn.Module):
    """Mask logits (R, K, h, w), float32, of the queries `kept` (R, K) of the prompts `rows` (R,) among N."""

    def __init__(self, model: Any, side: int) -> None:
        super().__init__()
        self.model, self.side = model, side
        for stage, kernel in enumerate(SharedDecoder(model).upsampling_kernels):
            self.register_buffer(f"kernel_{stage}", kernel.contiguous(), persistent=False)

    def forward(
        self,
        encoded: torch.Tensor,
        features: torch.Tensor,
        mask: torch.Tensor,
        queries: torch.Tensor,
        rows: torch.Tensor,
        kept: torch.Tensor,
        convolved: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        decoder = self.model.mask_decoder
        chosen, prompt = encoded.index_select(0, rows), features.index_select(0, rows)
        attention, _ = decoder.prompt_cross_attn(
            query=decoder.prompt_cross_attn_norm(chosen),
            key=prompt,
            value=prompt,
            attention_mask=additive_mask(TextFeatures(prompt, mask.index_select(0, rows))),
        )
        pixels = (chosen + attention).transpose(1, 2).unflatten(2, (self.side, self.side))
        for stage, finer in enumerate(convolved):
            kernel = getattr(self, f"kernel_{stage}")
            pixels = F.conv_transpose2d(pixels, kernel, stride=2, padding=1) + finer
            pixels = decoder.pixel_decoder.norms[stage](pixels).relu()
        wanted = queries.index_select(0, rows).gather(1, kept[..., None].expand(-1, -1, queries.shape[2]))  # (R, K, C)
        embeddings = decoder.mask_embedder(wanted)
        projection = decoder.instance_projection
        weights, biases = embeddings @ projection.weight.flatten(1), embeddings @ projection.bias
        logits = (weights @ pixels.flatten(2)).float() + biases[..., None].float()
        return logits.unflatten(2, tuple(pixels.shape[-2:]))


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
