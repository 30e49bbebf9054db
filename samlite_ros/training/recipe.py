"""Every number of the training, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Size:
    """Size of the network.

    Args:
        image_px: Side of the square input [px]; a multiple of 16 times `window`.
        window: Tokens along the side of an attention window.
        vision_hidden, vision_mlp, vision_layers: The image encoder.
        hidden, mlp: Width of everything after it.
        text_hidden, text_layers: The text encoder.
        queries: Most instances per phrase; a square number.
    """

    image_px: int = 192
    window: int = 6
    vision_hidden: int = 128
    vision_mlp: int = 384
    vision_layers: int = 6
    hidden: int = 64
    mlp: int = 192
    text_hidden: int = 64
    text_layers: int = 4
    queries: int = 16

    @property
    def tokens(self) -> int:
        """Image tokens along a side."""
        return self.image_px // 16

    @property
    def mask_px(self) -> int:
        """Side of the predicted masks."""
        return 4 * self.tokens


@dataclass(frozen=True)
class LossWeights:
    """Factors on the parts of the loss."""

    score: float = 2.0
    presence: float = 1.5
    box: float = 2.5
    overlap: float = 1.0
    mask: float = 8.0
    dice: float = 2.0
    semantic: float = 4.0
    semantic_dice: float = 1.0
    token_shape: float = 3.5
    token_colour: float = 0.5
    token_box: float = 2.5


@dataclass(frozen=True)
class Recipe:
    """How the demo checkpoint is trained.

    Args:
        size: Size of the network.
        weights: Factors on the parts of the loss.
        scenes: Number of rendered training scenes.
        steps: Number of optimiser steps.
        turned_from: Share of the steps after which the hues of some scenes are turned.
        turned: Share of the images whose hues are turned by a random angle from then on. These are asked for shapes
            alone: otherwise "no yellow thing was ever a box" would be learned too.
        images, prompts: Per step; the first `prompts - images` images are asked two phrases.
        learning_rate: Of AdamW at its peak, after `warmup` steps; then a cosine down to 2 %.
        matrix_learning_rate: The same of Muon, which trains the matrices of the transformer blocks.
        weight_decay: On matrices.
        clip: Largest norm of the gradient.
        averaging: Decay of the running average of the weights, which is what is kept.
        box_share: Share of the steps at the start in which box losses count double: localisation has to come first.
        copies: (share of the steps, queries per object) for the box and mask losses: several queries per object at
            first, one at the end.
        positive: Chance that a prompt names something in the scene.
        seed: Of the weights, the order of the scenes and the phrases.
    """

    size: Size = field(default_factory=Size)
    weights: LossWeights = field(default_factory=LossWeights)
    scenes: int = 28_000
    steps: int = 10_000
    turned_from: float = 0.25
    turned: float = 0.4
    images: int = 16
    prompts: int = 24
    learning_rate: float = 8e-4
    matrix_learning_rate: float = 4e-3
    warmup: int = 300
    weight_decay: float = 0.02
    clip: float = 1.0
    averaging: float = 0.998
    box_share: float = 0.12
    copies: tuple[tuple[float, int], ...] = ((0.12, 4), (0.6, 2), (1.0, 1))
    positive: float = 0.66
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Share of the peak learning rates at a step, from 0."""
        return min(1.0, (step + 1) / self.warmup) * _cosine(step / self.steps)

    def turned_at(self, step: int) -> float:
        """Share of the images whose hues are turned in a step."""
        return self.turned if step >= self.turned_from * self.steps else 0.0

    def copies_at(self, step: int) -> int:
        """Queries per object in the box and mask losses of a step."""
        progress = step / self.steps
        return next(copies for share, copies in self.copies if progress < share or share >= 1)

    def box_factor_at(self, step: int) -> float:
        """Factor on the box losses of a step."""
        return 2.0 if step / self.steps < self.box_share else 1.0


def _cosine(share: float) -> float:
    """Half a cosine from 1 down to 0.02."""
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))
