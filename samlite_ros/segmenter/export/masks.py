"""Masks of the kept queries as they are exported: up-sampling as plain convolutions, fine maps in quarters.

The numbers are those of `pytorch.shared_decode`, to rounding. What is different:

- Up-sampling by 2 and a 3x3 kernel is four 2x2 convolutions of the coarse map, one for each quarter of the fine pixels.
  A transposed convolution does the same and takes a third longer where it is a product and a scattered sum.
- Normalisations scale the weights that read them, where no scale is negative: what is cut off below 0 is the same.
- Normalisation and the product with the queries do not see the order of pixels: of the finest map only the few masks
  are put in order. The finer maps' share comes in quarters from the image's graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from samlite_ros.segmenter.export.attention import Attention, padding_bias
from samlite_ros.segmenter.pytorch.shared_decode import SharedDecoder

QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Of the fine pixels: row and column, modulo 2."""
_LEAST_SCALE = 1e-2
"""Of a normalisation, above which what is read from it can be scaled instead."""


class Masks(nn.Module):
    """Mask logits (R, K, h, w), float32, of the queries `kept` (R, K) of the prompts `rows` (R,) among N.

    Args:
        model: A prepared network.
        side: Of the coarsest map [cells].
        finer: Number of finer maps; of the pixel decoder's stages, those without one are never used.
    """

    def __init__(self, model: Any, side: int, finer: int) -> None:
        super().__init__()
        decoder = model.mask_decoder
        self.norm, self.attention = decoder.prompt_cross_attn_norm, Attention(decoder.prompt_cross_attn, side**2)
        self.embedder = decoder.mask_embedder
        projection = decoder.instance_projection
        self.side, self.width = side, int(projection.weight.shape[1])
        kernels, norms = SharedDecoder(model).upsampling_kernels, list(decoder.pixel_decoder.norms)
        self.stages, left = nn.ModuleList(), torch.ones(self.width)
        for place, (kernel, norm) in enumerate(list(zip(kernels, norms, strict=True))[:finer]):
            stage = _Stage((kernel * left[:, None, None, None]).to(kernel.dtype), norm, side * 2**place)
            self.stages.append(stage)
            left = stage.left
        self.fine, self.queries = side * 2**finer, int(model.detr_decoder.query_embed.weight.shape[0])
        weight = projection.weight.detach().flatten(1)
        self.register_buffer("weight", (weight * left).to(weight.dtype), persistent=False)
        self.register_buffer("bias", projection.bias.detach(), persistent=False)
        self.attention.to(projection.weight.dtype)

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
        pixels = self._attend(encoded.index_select(0, rows), features, mask, rows)
        for place, (stage, finer) in enumerate(zip(self.stages, convolved, strict=True)):
            coarse = in_order(pixels, self.width, self.side * 2**place) if place else pixels
            pixels = stage(coarse, finer)
        wanted = F.embedding(rows[:, None] * self.queries + kept, queries.flatten(0, 1))  # (R, K, C)
        embeddings = self.embedder(wanted)
        logits = ((embeddings @ self.weight) @ pixels).float() + (embeddings @ self.bias)[..., None].float()
        return in_order(logits, kept.shape[1], self.fine)

    def _attend(
        self, encoded: torch.Tensor, features: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor
    ) -> torch.Tensor:
        """The image's features after they have read the prompt once more, (R, C, h * w)."""
        text, bias = features.index_select(0, rows), padding_bias(mask.index_select(0, rows), features.dtype)
        found = self.attention(self.norm(encoded), text, text, bias)
        pixels = (encoded + found.view(-1, self.side**2, self.width)).transpose(1, 2)
        return pixels.reshape(-1, self.width, self.side, self.side)


class _Stage(nn.Module):
    """Up-sampling by 2 with its convolution, the finer map added, normalised: (R, C, h, w) to (R, C, 4 * h * w).

    Args:
        kernel: See `upsampling_kernel`.
        norm: Of groups of channels.
        side: h = w.
    """

    shift: torch.Tensor

    def __init__(self, kernel: torch.Tensor, norm: nn.GroupNorm, side: int) -> None:
        super().__init__()
        for number, (row, column) in enumerate(QUARTERS):
            taps = kernel[:, :, [3 - row, 1 - row]][..., [3 - column, 1 - column]]  # of the cells before and after
            self.register_buffer(f"kernel_{number}", taps.transpose(0, 1).contiguous(), persistent=False)
        self.groups, self.epsilon = norm.num_groups, norm.eps
        self.channels, self.pixels = norm.num_channels, 4 * side**2
        scale, shift = (values.detach().float() for values in (norm.weight, norm.bias))
        is_left = bool((scale > _LEAST_SCALE).all())
        self.left = scale if is_left else torch.ones_like(scale)
        """(C,), by which the output is to be multiplied still."""
        self.scale = None if is_left else scale[:, None]
        self.register_buffer("shift", (shift / self.left)[:, None], persistent=False)

    def forward(self, coarse: torch.Tensor, finer: torch.Tensor) -> torch.Tensor:
        """`finer`: (1, C, 4, h, w)."""
        quarters = [
            PaddedConvolution.apply(coarse, getattr(self, f"kernel_{number}"), (1 - row, 1 - column, row, column), 1)
            for number, (row, column) in enumerate(QUARTERS)
        ]
        fine = (torch.stack(quarters, 2) + finer).float()
        length = self.channels // self.groups * self.pixels
        alike = torch.ones(self.groups), torch.zeros(self.groups)  # the exporter counts groups by them
        normed = F.instance_norm(
            fine.reshape(-1, self.groups, length), weight=alike[0], bias=alike[1], eps=self.epsilon
        )
        normed = normed.view(-1, self.channels, self.pixels)
        scaled = normed if self.scale is None else normed * self.scale
        return (scaled + self.shift).relu().to(coarse.dtype)


class PaddedConvolution(torch.autograd.Function):
    """A convolution with other padding at each side: torch's exporter makes eight operators of it."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, kernel: torch.Tensor, pads: tuple[int, ...], stride: int
    ) -> torch.Tensor:
        """`pads`: rows before, columns before, rows after, columns after."""
        top, left, bottom, right = pads
        return F.conv2d(F.pad(values, (left, right, top, bottom)), kernel, stride=stride)

    @staticmethod
    def symbolic(graph: Any, values: Any, kernel: Any, pads: tuple[int, ...], stride: int) -> Any:
        return graph.op("Conv", values, kernel, pads_i=list(pads), strides_i=[stride, stride])


def in_quarters(fine: torch.Tensor) -> torch.Tensor:
    """(B, C, 2 h, 2 w) to (B, C, 4, h, w)."""
    rows, columns = fine.shape[2] // 2, fine.shape[3] // 2
    return fine.unflatten(2, (rows, 2)).unflatten(4, (columns, 2)).permute(0, 1, 3, 5, 2, 4).flatten(2, 3)


def in_order(quarters: torch.Tensor, channels: int, side: int) -> torch.Tensor:
    """(B, C, 4 * h * w) to (B, C, 2 h, 2 w), where 2 h = 2 w = side.

    A transposed convolution that copies takes a seventh of a transposition's time.
    """
    copying = torch.eye(4, dtype=quarters.dtype).view(4, 1, 2, 2)
    fine = F.conv_transpose2d(quarters.reshape(-1, 4, side // 2, side // 2), copying, stride=2)
    return fine.view(-1, channels, side, side)
