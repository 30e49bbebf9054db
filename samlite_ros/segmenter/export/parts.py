"""What is handed to torch's exporter: each graph's module, example inputs, names, and which shapes are free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from samlite_ros.segmenter.backend import CONTEXT_TOKENS
from samlite_ros.segmenter.export.finish import ImageFinish
from samlite_ros.segmenter.export.graphs import Text, image_stages, position_encoding
from samlite_ros.segmenter.export.image import ImageStage
from samlite_ros.segmenter.export.masks import Masks
from samlite_ros.segmenter.export.proposals import Proposals

EXAMPLE_PROMPTS = 3
EXAMPLE_TOKENS = 5
"""Any numbers but 1, which would hide an axis that is not free."""


@dataclass(frozen=True)
class Part:
    """One graph before it is exported.

    Args:
        name: Of its file.
        build: Makes the module.
        inputs: Examples; their values do not matter.
        input_names, output_names: Of the graph.
        free: Of each input, the free axes by position, with their names: n and t count phrases, l their tokens, r
            phrases that keep something, k queries of each.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: tuple[Any, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    free: tuple[Mapping[int, str], ...]


def all_parts(model: Any, size: int, dtype: torch.dtype) -> list[Part]:
    """The graphs of a prepared network, in the order in which they run.

    Args:
        model: See `precision.prepare`.
        size: Side of the square input [px].
        dtype: Of what travels between the graphs.
    """
    side = size // model.vision_encoder.backbone.config.patch_size
    shapes = _Shapes(model, side, dtype)
    stages = image_stages(model)
    position = position_encoding(model, side, dtype)
    parts = [_image_part(model, i, layers, position, shapes) for i, layers in enumerate(stages)]
    return [*parts, *_prompt_parts(model, position, shapes)]


class _Shapes:
    """Example inputs by what they mean."""

    def __init__(self, model: Any, side: int, dtype: torch.dtype) -> None:
        self._side, self._dtype = side, dtype
        config = model.config
        self.width = config.detr_encoder_config.hidden_size
        self.queries = config.detr_decoder_config.num_queries
        self.hidden_width = model.vision_encoder.backbone.config.hidden_size
        scales = model.vision_encoder.neck.config.scale_factors
        self._finer = [round(side * scale) for scale in sorted(s for s in scales if s > 1)]
        stages = len(model.mask_decoder.pixel_decoder.conv_layers)
        self.finer_names = tuple(f"convolved_{i}" for i in range(min(stages, len(self._finer))))

    def image(self, size: int) -> torch.Tensor:
        return torch.zeros(1, size, size, 3, dtype=torch.uint8)

    def hidden(self) -> torch.Tensor:
        return self._zeros(self._side**2, self.hidden_width)

    def cells(self, count: int = 1) -> torch.Tensor:
        return self._zeros(count, self._side**2, self.width)

    def features(self, count: int) -> torch.Tensor:
        return self._zeros(count, EXAMPLE_TOKENS, self.width)

    def tokens(self, count: int, tokens: int = EXAMPLE_TOKENS) -> torch.Tensor:
        return torch.ones(count, tokens, dtype=torch.int64)

    def chosen(self, count: int) -> torch.Tensor:
        return self._zeros(count, self.queries, self.width)

    def convolved(self) -> list[torch.Tensor]:
        sides = [cells // 2 for cells in self._finer[: len(self.finer_names)]]
        return [self._zeros(1, self.width, 4, side, side) for side in sides]

    def _zeros(self, *shape: int) -> torch.Tensor:
        return torch.zeros(*shape, dtype=self._dtype)


def _image_part(model: Any, number: int, layers: range, position: torch.Tensor, shapes: _Shapes) -> Part:
    is_last = layers.stop == len(model.vision_encoder.backbone.layers)
    outputs = ("attended", *shapes.finer_names) if is_last else ("hidden_out",)
    given = shapes.hidden() if number else shapes.image(int(model.config.image_size))

    def build() -> nn.Module:
        return ImageStage(model, layers, ImageFinish(model, position) if is_last else None)

    return Part(f"image_{number}", build, (given,), ("hidden" if number else "image",), outputs, ({},))


def _prompt_parts(model: Any, position: torch.Tensor, shapes: _Shapes) -> list[Part]:
    count = EXAMPLE_PROMPTS
    rows, kept = torch.zeros(2, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64)
    prompt = (shapes.features(count), shapes.tokens(count))
    free_prompt = ({0: "n", 1: "l"}, {0: "n", 1: "l"})
    finer = shapes.convolved()
    return [
        Part(
            "proposals",
            partial(Proposals, model, position),
            (shapes.cells(), *prompt),
            ("attended", "features", "mask"),
            ("scores", "presence", "boxes", "queries", "encoded"),
            ({}, *free_prompt),
        ),
        Part(
            "masks",
            partial(Masks, model, position.shape[-1], len(finer)),
            (shapes.cells(count), *prompt, shapes.chosen(count), rows, kept, finer),
            ("encoded", "features", "mask", "queries", "rows", "kept", *shapes.finer_names),
            ("logits",),
            ({0: "n"}, *free_prompt, {0: "n"}, {0: "r"}, {0: "r", 1: "k"}, *[{}] * len(finer)),
        ),
        Part(
            "text",
            partial(Text, model, CONTEXT_TOKENS),
            (shapes.tokens(count, CONTEXT_TOKENS), shapes.tokens(count, CONTEXT_TOKENS)),
            ("input_ids", "attention_mask"),
            ("features",),
            ({0: "t"}, {0: "t"}),
        ),
    ]
