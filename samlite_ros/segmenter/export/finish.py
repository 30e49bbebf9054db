"""The end of the image's graph: from the grid of tokens to what decoding needs for any phrase.

The numbers are those of the reference's neck and of `pytorch.shared_decode`, to rounding. From a finer scale's
up-sampling to the pixel decoder all is linear, and nobody reads what is between:

- A projection of each pixel before a 3x3 convolution is part of its kernel, where that makes the kernel no larger.
- Biases on the way are one constant at the end. Beyond an image's edge is nothing, no bias either: it differs in
  the two pixels along each edge, and is the same everywhere else.
- Finer maps are computed in the quarters in which masks read them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from samlite_ros.segmenter.export.attention import Attention
from samlite_ros.segmenter.export.masks import QUARTERS, PaddedConvolution, in_quarters

_EDGE = 2
"""Pixels along an edge that two 3x3 convolutions let see it."""


class ImageFinish(nn.Module):
    """From the last layer's grid (1, C, h, w).

    Returns `attended` (1, h * w, C) and the finer maps' share of the pixel decoder's convolutions, coarse to fine:
    (1, C, 4, h / 2, w / 2) each.

    Args:
        model: A prepared network.
        position: (1, C, h, w), of the coarsest map.
    """

    position: torch.Tensor

    def __init__(self, model: Any, position: torch.Tensor) -> None:
        super().__init__()
        *finer, self.coarsest = model.vision_encoder.neck.fpn_layers[:-1]  # no one reads what is coarser
        convolutions = list(model.mask_decoder.pixel_decoder.conv_layers)[: len(finer)]
        pairs = list(zip(finer[::-1], convolutions, strict=False))  # coarse to fine
        sides = [round(position.shape[-1] * scale.scale_factor) for scale, _ in pairs]
        self.finer = nn.ModuleList(_FinerMap(*pair, side) for pair, side in zip(pairs, sides, strict=True))
        layer = model.detr_encoder.layers[0]
        self.norm, self.attention = layer.layer_norm1, Attention(layer.self_attn, position.shape[-1] ** 2)
        self.attention.to(position.dtype)
        self.register_buffer("position", position[0].flatten(1).T.contiguous(), persistent=False)  # (h * w, C)

    def forward(self, grid: torch.Tensor) -> tuple[torch.Tensor, ...]:
        tokens = self.coarsest(grid)[0].flatten(1).T
        normed = self.norm(tokens)
        placed = (normed + self.position)[None]
        attended = self.attention(placed, placed, normed[None]) + tokens
        return attended[None], *(finer(grid) for finer in self.finer)


class _FinerMap(nn.Module):
    """One finer map's share of one of the pixel decoder's convolutions, from the grid.

    Args:
        scale: Of the neck.
        convolution: Of the pixel decoder.
        side: Of the map [pixels].
    """

    kernel: torch.Tensor
    constants: torch.Tensor
    places: torch.Tensor

    def __init__(self, scale: Any, convolution: Any, side: int) -> None:
        super().__init__()
        self.upsampling = scale.scale_layers
        first, second = scale.proj1.weight.float(), scale.proj2.weight.float()
        joint = torch.einsum("omyx,mi->oiyx", second, first.flatten(1))
        kernels = [joint] if joint.numel() <= first.numel() + second.numel() else [first, second]
        dtype = convolution.weight.dtype
        self.kernels = nn.ParameterList(nn.Parameter(kernel.to(dtype), requires_grad=False) for kernel in kernels)
        self.paddings = [kernel.shape[-1] // 2 for kernel in kernels]  # in a trace a shape is no number
        self.register_buffer("kernel", convolution.weight.detach(), persistent=False)
        constants = _constants(scale, convolution).to(dtype)
        self.register_buffer("constants", constants.flatten(1), persistent=False)
        places = _places(side, constants.shape[-1])
        self.shape = (1, constants.shape[0], 4, side // 2, side // 2)
        self.register_buffer("places", in_quarters(places[None, None]).flatten(), persistent=False)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        values = grid
        for layer in self.upsampling:
            values = layer(values)
        for kernel, padding in zip(self.kernels, self.paddings, strict=True):
            values = F.conv2d(values, kernel, padding=padding)
        constants = self.constants.index_select(1, self.places).view(self.shape)
        return self._convolve(values) + constants

    def _convolve(self, values: torch.Tensor) -> torch.Tensor:
        pads = [(1 - row, 1 - column, row, column) for row, column in QUARTERS]
        return torch.stack([PaddedConvolution.apply(values, self.kernel, pad, 2) for pad in pads], 2)


@torch.no_grad()
def _constants(scale: Any, convolution: Any) -> torch.Tensor:
    """What biases come to at the end of a map: float32 (C, 5, 5), its edges and one pixel that sees none."""
    side = 2 * _EDGE + 1
    bias = scale.proj1.bias.float()[None, :, None, None].expand(1, -1, side, side)
    for layer in (scale.proj2, convolution):
        bias = F.conv2d(bias, layer.weight.float(), layer.bias.float(), padding=1)
    return bias[0]


def _places(side: int, classes: int) -> torch.Tensor:
    """int64 (side, side), of each pixel its place in (classes, classes)."""
    along = torch.full((side,), _EDGE)
    along[:_EDGE] = torch.arange(_EDGE)
    along[-_EDGE:] = torch.arange(_EDGE) + _EDGE + 1
    return along[:, None] * classes + along
