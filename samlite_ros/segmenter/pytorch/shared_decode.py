"""The decoder with everything that is the same for all prompts computed once per image, and masks on demand.

The numbers are those of the reference's forward (to rounding); what is saved:

- The first encoder layer's self-attention sees the image only: once per image.
- Only queries that are kept get masks; where none is kept, the pixel decoder does not run at all.
- The pixel decoder convolves the sum of an up-sampled map and a finer one, and convolution is linear: the finer map's
  share is computed once per image. The other share, nearest up-sampling by 2 and then a 3x3 kernel, is one transposed
  convolution that reads the coarse map: 4 products per pixel and channel pair instead of 9.
- The projection of pixels before the product with the mask embeddings is linear too: it is applied to the few
  embeddings, not to all pixels.
- The decoder's attention bias is summed in the layout in which attention reads it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F

from samlite_ros.segmenter.backend import Callback, go_on
from samlite_ros.segmenter.pytorch.decoder import ImageFeatures, TextFeatures

RPB_SCALE = 8.0
_SIGMOID_MARGIN = 1e-3


@dataclass(frozen=True, eq=False)
class ProposalTensors:
    """What the network says of N prompts before masks.

    Args:
        scores: float32 (N, Q), sigmoid(class) * sigmoid(presence).
        presence: float32 (N,), probability that the prompt is there.
        boxes_xyxy: float32 (N, Q, 4), 0 to 1 of the image's width and height.
        queries: (N, Q, C), of the decoder's last layer.
        encoded: (N, h * w, C), the image's features after the encoder has read the prompt.
        text: Features of the prompts.
    """

    scores: torch.Tensor
    presence: torch.Tensor
    boxes_xyxy: torch.Tensor
    queries: torch.Tensor = field(repr=False)
    encoded: torch.Tensor = field(repr=False)
    text: TextFeatures = field(repr=False)


@dataclass(eq=False)
class SharedImage:
    """What decoding needs of one image, for any prompt.

    Args:
        attended: (1, h * w, C), after the first encoder layer's self-attention.
        position: (1, h * w, C).
        maps: Feature maps, finest first, each (1, C, h, w); the last is the coarsest.
        convolved: The finer maps' share of the pixel decoder's convolutions, coarse to fine; None until the first
            mask is drawn.
    """

    attended: torch.Tensor
    position: torch.Tensor
    maps: tuple[torch.Tensor, ...]
    convolved: tuple[torch.Tensor, ...] | None = None


class SharedDecoder:
    """Decodes prompts over images with one network.

    Args:
        model: A Sam3LiteTextModel in evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def prepare(self, image: ImageFeatures) -> SharedImage:
        """Compute what all prompts share."""
        layer = self._model.detr_encoder.layers[0]
        tokens = _to_tokens(image.maps[-1])
        position = _to_tokens(image.position_encoding)
        normed = layer.layer_norm1(tokens)
        with_position = normed + position
        attention, _ = layer.self_attn(query=with_position, key=with_position, value=normed)
        return SharedImage(attention + tokens, position, image.maps)

    def propose(self, image: SharedImage, text: TextFeatures, on_step: Callback = go_on) -> ProposalTensors:
        """Scores and boxes of N prompts over one image; `on_step` is called before each layer but the first."""
        mask = additive_mask(text)
        encoded = self._encode(image, text, mask, on_step)
        queries, boxes, presence_logits = self._decode(encoded, image, text, mask, on_step)
        logits = self._model.dot_product_scoring(
            decoder_hidden_states=queries[None], text_features=text.features, text_mask=text.mask.bool()
        )  # (1, N, Q, 1)
        presence = presence_logits.float().sigmoid()  # (N, 1)
        scores = logits[0, :, :, 0].float().sigmoid() * presence
        return ProposalTensors(scores, presence[:, 0], to_xyxy(boxes).float(), queries, encoded, text)

    def masks(
        self, image: SharedImage, proposals: ProposalTensors, kept: Sequence[torch.Tensor], on_step: Callback = go_on
    ) -> list[torch.Tensor]:
        """Mask logits of the kept queries alone.

        Args:
            image: The image of the proposals.
            proposals: Of N prompts.
            kept: Of each prompt, the indices (K,) of the queries to draw.
            on_step: Called before the pixel decoder and each of its convolutions.

        Returns:
            Of each prompt (K, h, w) at the finest map's size, in the model's dtype.
        """
        height, width = image.maps[0].shape[-2:]
        out = [proposals.queries.new_zeros((0, height, width)) for _ in kept]
        rows = [row for row, chosen in enumerate(kept) if len(chosen)]
        if not rows:
            return out
        on_step()
        pixels = self._embed_pixels(image, proposals, rows, on_step)  # (R, C, h, w)
        for place, row in enumerate(rows):
            weight, bias = self._mask_weights(proposals.queries[row, kept[row]])
            out[row] = torch.einsum("kc,chw->khw", weight, pixels[place]) + bias[:, None, None]
        return out

    def _encode(self, image: SharedImage, text: TextFeatures, mask: torch.Tensor, on_step: Callback) -> torch.Tensor:
        """The encoder from the first layer's cross-attention on; (N, h * w, C)."""
        first, *others = self._model.detr_encoder.layers
        count = text.features.shape[0]  # len() would fix it in an export
        query = first.layer_norm2(image.attended).expand(count, -1, -1)
        attention, _ = first.cross_attn(query=query, key=text.features, value=text.features, attention_mask=mask)
        hidden = attention + image.attended
        hidden = first.mlp(first.layer_norm3(hidden)) + hidden
        for layer in others:
            on_step()
            hidden = layer(hidden, text.features, image.position, prompt_cross_attn_mask=mask)
        return hidden

    def _decode(
        self, encoded: torch.Tensor, image: SharedImage, text: TextFeatures, mask: torch.Tensor, on_step: Callback
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The decoder: queries (N, Q, C), boxes (N, Q, 4) as centre and size, presence logits (N, 1)."""
        decoder = self._model.detr_decoder
        count = text.features.shape[0]  # len() would fix it in an export
        boxes = decoder.reference_points.weight.float().sigmoid().expand(count, -1, -1)  # half precision is 1 px here
        hidden = torch.cat([decoder.presence_token.weight, decoder.query_embed.weight]).expand(count, -1, -1)
        grid = image.maps[-1].shape[-2:]
        for layer in decoder.layers:
            on_step()
            hidden = layer(
                hidden,
                query_pos=decoder.ref_point_head(decoder.position_encoding.encode_boxes(boxes).to(hidden.dtype)),
                text_features=text.features,
                vision_features=encoded,
                vision_pos_encoding=image.position,
                text_cross_attn_mask=mask,
                vision_cross_attn_mask=self._position_bias(boxes, (grid[0], grid[1])),
            )
            queries = decoder.output_layer_norm(hidden[:, 1:])
            boxes = (decoder.box_head(queries).float() + inverse_sigmoid(boxes)).sigmoid()
        logits = decoder.presence_head(decoder.presence_layer_norm(hidden[:, :1])).squeeze(-1)
        limit = decoder.clamp_presence_logit_max_val
        return queries, boxes, logits.clamp(-limit, limit)

    def _position_bias(self, boxes: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """Attention bias from each box's edges to each cell, (N, heads, 1 + Q, h * w); none for the presence token."""
        x0, y0, x1, y1 = to_xyxy(boxes).unbind(-1)  # (N, Q) each
        along_y = self._edge_bias(self._model.detr_decoder.box_rpb_embed_y, torch.stack((y0, y1), -1), grid[0])
        along_x = self._edge_bias(self._model.detr_decoder.box_rpb_embed_x, torch.stack((x0, x1), -1), grid[1])
        return (along_y[..., :, None] + along_x[..., None, :]).flatten(-2)

    @staticmethod
    def _edge_bias(embed: Any, edges: torch.Tensor, cells: int) -> torch.Tensor:
        """Bias along one axis, (N, heads, 1 + Q, cells), from the (N, Q, 2) edges of boxes."""
        centres = torch.arange(cells, device=edges.device, dtype=edges.dtype) / cells
        deltas = (centres[:, None] - edges[:, :, None]) * RPB_SCALE  # (N, Q, cells, 2)
        scaled = deltas.sign() * torch.log2(deltas.abs() + 1.0) / math.log2(RPB_SCALE)
        return F.pad(embed(scaled.to(embed.layer1.weight.dtype)).permute(0, 3, 1, 2), (0, 0, 1, 0))

    def _embed_pixels(
        self, image: SharedImage, proposals: ProposalTensors, rows: Sequence[int], on_step: Callback
    ) -> torch.Tensor:
        """The pixel decoder for some of the prompts; (R, C, h, w) at the finest map's size."""
        decoder = self._model.mask_decoder
        chosen = list(rows)
        encoded, text = proposals.encoded[chosen], proposals.text
        prompt, mask = text.features[chosen], additive_mask(text)[chosen]
        query = decoder.prompt_cross_attn_norm(encoded)
        attention, _ = decoder.prompt_cross_attn(query=query, key=prompt, value=prompt, attention_mask=mask)
        height, width = image.maps[-1].shape[-2:]
        pixels = (encoded + attention).transpose(1, 2).unflatten(2, (height, width))  # channels last in memory
        for stage, finer in enumerate(self._convolved_maps(image, on_step)):
            on_step()
            pixels = F.conv_transpose2d(pixels, self.upsampling_kernels[stage], stride=2, padding=1) + finer
            pixels = decoder.pixel_decoder.norms[stage](pixels).relu_()
        return pixels

    def _convolved_maps(self, image: SharedImage, on_step: Callback) -> tuple[torch.Tensor, ...]:
        """The finer maps' share of each convolution, bias included; once per image."""
        if image.convolved is None:
            finer = image.maps[-2::-1]  # coarse to fine
            convolved = []  # one of the convolutions is never used
            for conv, feature_map in zip(self._model.mask_decoder.pixel_decoder.conv_layers, finer, strict=False):
                on_step()
                convolved.append(_channels_last(conv(_channels_last(feature_map))))
            image.convolved = tuple(convolved)
        return image.convolved

    @cached_property
    def upsampling_kernels(self) -> list[torch.Tensor]:
        """Of each stage, (C, C, 4, 4): nearest up-sampling by 2 and its 3x3 convolution as a transposed convolution."""
        layers = self._model.mask_decoder.pixel_decoder.conv_layers
        return [_channels_last(upsampling_kernel(conv.weight)) for conv in layers]

    def _mask_weights(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (K, C) and biases (K,) of the masks: the projection of pixels, applied to the queries instead."""
        decoder = self._model.mask_decoder
        embeddings = decoder.mask_embedder(queries)  # (K, C)
        projection = decoder.instance_projection
        return embeddings @ projection.weight.flatten(1), embeddings @ projection.bias


def upsampling_kernel(weight: torch.Tensor) -> torch.Tensor:
    """Kernel of the transposed convolution that equals nearest up-sampling by 2 followed by a padded 3x3 convolution.

    Each of the four fine pixels of a coarse one meets the same value: their taps add up.

    Args:
        weight: (C_out, C_in, 3, 3).

    Returns:
        (C_in, C_out, 4, 4), for stride 2 and padding 1.
    """
    flipped = weight.float().flip(-1, -2).transpose(0, 1)  # (C_in, C_out, 3, 3)
    padded = F.pad(flipped, (1, 1, 1, 1))  # every 4x4 window of it is one fine pixel's taps
    total = sum(padded[..., y : y + 4, x : x + 4] for y in range(2) for x in range(2))
    return total.to(weight.dtype)  # type: ignore[union-attr]


def _to_tokens(feature_map: torch.Tensor) -> torch.Tensor:
    """(1, C, h, w) to (1, h * w, C)."""
    return feature_map.flatten(2).transpose(1, 2)


def _channels_last(values: torch.Tensor) -> torch.Tensor:
    return values.contiguous(memory_format=torch.channels_last)


def additive_mask(text: TextFeatures) -> torch.Tensor:
    """(N, 1, 1, tokens): 0 at tokens, the least number at padding; every attention implementation takes it."""
    padding = (text.mask == 0)[:, None, None, :]
    dtype = text.features.dtype
    return torch.zeros(padding.shape, dtype=dtype, device=padding.device).masked_fill_(padding, torch.finfo(dtype).min)


def to_xyxy(boxes: torch.Tensor) -> torch.Tensor:
    """Centre and size to corners."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat((centre - 0.5 * size, centre + 0.5 * size), -1)


def inverse_sigmoid(values: torch.Tensor) -> torch.Tensor:
    """As the reference's: both ends are clamped."""
    low, high = values.clamp(min=_SIGMOID_MARGIN), (1 - values).clamp(min=_SIGMOID_MARGIN)
    return torch.log(low / high)
