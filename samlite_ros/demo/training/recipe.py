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
        plain_steps: Number of optimiser steps on scenes as they were rendered.
        turned_steps: Number of further steps in which the hues of some scenes are turned.
        polish_steps: Number of last steps, a second and lower cosine of the learning rate.
        polish_rate: Peak of that cosine, as a share of `learning_rate`.
        plain_share: Share of the schedule that the plain steps go through; the turned steps go through the rest.
        turned: Share of the images whose hues are turned by a random angle, in the turned steps. These are asked for
            shapes alone: otherwise "no yellow thing was ever a box" would be learned too.
        images, prompts: Per step; the first `prompts - images` images are asked two phrases.
        learning_rate: At its peak, after `warmup` steps; then a cosine of the schedule down to 2 %.
        weight_decay: On matrices.
        clip: Largest norm of the gradient.
        averaging: Decay of the running average of the weights, which is what is kept.
        box_share: Share of the schedule at the start in which box losses count double: localisation has to come first.
        copies: (share of the schedule, queries per object) for the box and mask losses: several queries per object at
            first, one at the end.
        positive: Chance that a prompt names something in the scene.
        seed: Of the weights, the order of the scenes and the phrases.
    """

    size: Size = field(default_factory=Size)
    weights: LossWeights = field(default_factory=LossWeights)
    scenes: int = 28_000
    plain_steps: int = 6_000
    turned_steps: int = 5_500
    polish_steps: int = 1_300
    polish_rate: float = 0.3
    plain_share: float = 0.6
    turned: float = 0.4
    images: int = 16
    prompts: int = 24
    learning_rate: float = 8e-4
    warmup: int = 300
    weight_decay: float = 0.02
    clip: float = 1.0
    averaging: float = 0.998
    box_share: float = 0.12
    copies: tuple[tuple[float, int], ...] = ((0.12, 4), (0.6, 2), (1.0, 1))
    positive: float = 0.66
    seed: int = 0

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return self.plain_steps + self.turned_steps + self.polish_steps

    def progress_at(self, step: int) -> float:
        """Share of the schedule that lies behind a step, 0 to 1."""
        if step < self.plain_steps:
            return self.plain_share * step / self.plain_steps
        return min(self.plain_share + (1 - self.plain_share) * (step - self.plain_steps) / self.turned_steps, 1.0)

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, from 0."""
        polished = step - self.plain_steps - self.turned_steps
        if polished >= 0:
            return self.learning_rate * self.polish_rate * _cosine(polished / self.polish_steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup) * _cosine(self.progress_at(step))

    def turned_at(self, step: int) -> float:
        """Share of the images whose hues are turned in a step."""
        return self.turned if step >= self.plain_steps else 0.0

    def copies_at(self, step: int) -> int:
        """Queries per object in the box and mask losses of a step."""
        progress = self.progress_at(step)
        return next(copies for share, copies in self.copies if progress < share or share >= 1)

    def box_factor_at(self, step: int) -> float:
        """Factor on the box losses of a step."""
        return 2.0 if self.progress_at(step) < self.box_share else 1.0


def _cosine(share: float) -> float:
    """Half a cosine from 1 down to 0.02."""
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))
