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
- The decoder's first queries attend to each other before they have read anything: once per network. The query of the
  encoder's first cross-attention is the image's: projected once for all prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F

from samlite_ros.segmenter.backend import Callback, go_on
from samlite_ros.segmenter.pytorch.decoder import ImageFeatures, TextFeatures
from samlite_ros.segmenter.pytorch.decoder_layers import (
    Attention,
    Boxes,
    DecoderLayer,
    EncoderLayer,
    Queries,
    Text,
    norm,
    perceptron,
    to_xyxy,
)


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
        model: A Sam3LiteTextModel in evaluation mode, whose weights stay as they are: what no phrase changes is kept.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        decoder = model.detr_decoder
        self._encoder_layers = [EncoderLayer(layer) for layer in model.detr_encoder.layers]
        self._decoder_layers = [DecoderLayer(layer) for layer in decoder.layers]
        self._boxes, self._query_norm = Boxes(decoder), norm(decoder.output_layer_norm)
        self._presence, self._presence_norm = perceptron(decoder.presence_head), norm(decoder.presence_layer_norm)
        self._prompt_attention = Attention(model.mask_decoder.prompt_cross_attn)
        self._first: dict[int, tuple[Queries, torch.Tensor]] = {}

    def prepare(self, image: ImageFeatures) -> SharedImage:
        """Compute what all prompts share."""
        position = _to_tokens(image.position_encoding)
        attended = self._encoder_layers[0].attend(_to_tokens(image.maps[-1]), position)
        return SharedImage(attended, position, image.maps)

    def propose(self, image: SharedImage, text: TextFeatures, on_step: Callback = go_on) -> ProposalTensors:
        """Scores and boxes of N prompts over one image; `on_step` is called before each layer but the first, and within
        the encoder's."""
        said = Text(text.features, additive_mask(text))
        encoded = self._encode(image, said, on_step)
        queries, boxes, presence_logits = self._decode(encoded, image, said, on_step)
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
        counts = [len(kept[row]) for row in rows]
        weights, biases = self._mask_weights(torch.cat([proposals.queries[row, kept[row]] for row in rows]))
        parts = zip(rows, pixels.flatten(2), weights.split(counts), biases[:, None].split(counts), strict=True)
        for row, cells, weight, bias in parts:
            out[row] = torch.addmm(bias, weight, cells).unflatten(1, (height, width))
        return out

    def _encode(self, image: SharedImage, text: Text, on_step: Callback) -> torch.Tensor:
        """The encoder from the first layer's cross-attention on; (N, h * w, C)."""
        first, *others = self._encoder_layers
        hidden = first.read(image.attended, text)
        for layer in others:
            on_step()
            hidden = layer.attend(hidden, image.position)
            on_step()
            hidden = layer.read(hidden, text)
        return hidden

    def _decode(
        self, encoded: torch.Tensor, image: SharedImage, text: Text, on_step: Callback
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The decoder: queries (N, Q, C), boxes (N, Q, 4) as centre and size, presence logits (N, 1)."""
        side = image.maps[-1].shape[-1]
        queries, boxes = self._first_queries(side)
        hidden, placed = queries.hidden, encoded + image.position
        for number, layer in enumerate(self._decoder_layers):
            on_step()
            if number:
                position = self._boxes.position(boxes)
                queries = Queries(layer.attend(hidden, position), position, self._boxes.bias(boxes, side))
            hidden = layer.read(queries, text, encoded, placed)
            found = self._query_norm(hidden[:, 1:])
            boxes = self._boxes.moved(boxes, found)
        logits = self._presence(self._presence_norm(hidden[:, :1])).squeeze(-1)
        limit = self._model.detr_decoder.clamp_presence_logit_max_val
        return found, boxes, logits.clamp(-limit, limit)

    def _first_queries(self, side: int) -> tuple[Queries, torch.Tensor]:
        """The first layer's queries and their boxes (1, Q, 4), which know neither prompt nor image: computed once."""
        first = self._first.get(side)
        if first is None:
            decoder = self._model.detr_decoder
            boxes = decoder.reference_points.weight.float().sigmoid()[None]  # half precision is 1 px here
            position = self._boxes.position(boxes)
            hidden = torch.cat([decoder.presence_token.weight, decoder.query_embed.weight])[None]
            hidden = self._decoder_layers[0].attend(hidden, position)
            first = self._first[side] = Queries(hidden, position, self._boxes.bias(boxes, side)), boxes
        return first

    def _embed_pixels(
        self, image: SharedImage, proposals: ProposalTensors, rows: Sequence[int], on_step: Callback
    ) -> torch.Tensor:
        """The pixel decoder for some of the prompts; (R, C, h, w) at the finest map's size."""
        decoder = self._model.mask_decoder
        chosen = list(rows)
        encoded, text = proposals.encoded[chosen], proposals.text
        prompt, mask = text.features[chosen], additive_mask(text)[chosen]
        query = decoder.prompt_cross_attn_norm(encoded)
        attention = self._prompt_attention(query, prompt, prompt, mask)
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
