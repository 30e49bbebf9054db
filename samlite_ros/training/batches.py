"""One step's images, phrases and targets; step n is the same whenever and wherever it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

from samlite_ros.scenes.vocabulary import COLOURS, SHAPES, Named, matches
from samlite_ros.training.dataset import MAX_OBJECTS, SceneSet
from samlite_ros.training.network import CONTEXT
from samlite_ros.training.phrases import draw_phrase, draw_shape_phrase
from samlite_ros.training.recipe import Recipe

UNNAMED = -100
"""Colour label of objects whose hue was turned; cross-entropy ignores it."""
_TURN_STREAM = 2


@dataclass(frozen=True)
class Label:
    """Colour and shape of one object of a scene set."""

    colour: str
    shape: str


@dataclass(frozen=True, eq=False)
class Batch:
    """B images, K prompts on them (prompt k is on image k modulo B), T = 8 objects, masks of side M.

    Args:
        pixels: float32 (B, 3, S, S), -1 to 1.
        token_ids, token_mask: int64 (K, 32).
        wanted: bool (K, T): the objects that the prompt names.
        boxes: float32 (B, T, 4): x0, y0, x1, y1, 0 to 1.
        masks: float32 (B, T, M, M): share of each cell that the object covers.
        labels: int64 (B, T, 2): colour and shape; -1 = no object, UNNAMED = a colour that has no name.
    """

    pixels: torch.Tensor
    token_ids: torch.Tensor
    token_mask: torch.Tensor
    wanted: torch.Tensor
    boxes: torch.Tensor
    masks: torch.Tensor
    labels: torch.Tensor

    @property
    def image_of(self) -> torch.Tensor:
        """int64 (K,): the image of each prompt."""
        return torch.arange(len(self.wanted)) % len(self.pixels)


class Batches(Dataset[Batch]):
    """The batches of a training, by step.

    Args:
        scenes: The scenes to draw from.
        tokenizer: Of the network.
        recipe: Sizes, chances and seed.
        stream: Family of random numbers: another one for the monitored batches than for the trained ones.
    """

    def __init__(self, scenes: SceneSet, tokenizer: Any, recipe: Recipe, stream: int = 0) -> None:
        self._scenes, self._tokenizer, self._recipe, self._stream = scenes, tokenizer, recipe, stream

    def __len__(self) -> int:
        return self._recipe.steps

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([self._recipe.seed, self._stream, step])
        rows = rng.integers(0, len(self._scenes), self._recipe.images)
        flip = bool(rng.random() < 0.5)
        boxes, masks = self._targets(rows, flip)
        labels = self._scenes.labels[rows].astype(np.int64)
        turns = self._turns(step)
        phrases, wanted = self._prompts(rng, labels, turns)
        labels[..., 0][(turns != 0)[:, None] & (labels[..., 0] >= 0)] = UNNAMED
        tokens = self._tokenizer(phrases, padding="max_length", max_length=CONTEXT, return_tensors="pt")
        return Batch(
            pixels=self._pixels(rng, rows, flip, turns),
            token_ids=tokens.input_ids,
            token_mask=tokens.attention_mask,
            wanted=wanted,
            boxes=boxes,
            masks=masks,
            labels=torch.from_numpy(labels),
        )

    def _turns(self, step: int) -> np.ndarray:
        """(B,): angle by which each image's hues are turned [degrees], 0 = not."""
        rng = np.random.default_rng([self._recipe.seed, self._stream, step, _TURN_STREAM])
        turned = rng.random(self._recipe.images) < self._recipe.turned_at(step)
        return np.where(turned, rng.integers(20, 341, self._recipe.images), 0)

    def _pixels(self, rng: np.random.Generator, rows: np.ndarray, flip: bool, turns: np.ndarray) -> torch.Tensor:
        """Images with another exposure and tint each."""
        turned = [turn_hues(image, turn) for image, turn in zip(self._scenes.images[rows], turns, strict=True)]
        images = torch.from_numpy(np.stack(turned)).permute(0, 3, 1, 2).float()
        count = len(rows)
        gain = rng.uniform(0.75, 1.15, (count, 1, 1, 1)) * rng.uniform(0.95, 1.05, (count, 3, 1, 1))
        pixels = (images * torch.from_numpy(gain).float() / 255).clamp(0, 1) * 2 - 1
        return pixels.flip(3) if flip else pixels

    def _targets(self, rows: np.ndarray, flip: bool) -> tuple[torch.Tensor, torch.Tensor]:
        boxes = torch.from_numpy(self._scenes.boxes[rows])
        ids = torch.from_numpy(self._scenes.ids[rows])
        if flip:
            ids = ids.flip(2)
            boxes = torch.stack([1 - boxes[..., 2], boxes[..., 1], 1 - boxes[..., 0], boxes[..., 3]], -1)
        inside = ids[:, None] == torch.arange(1, MAX_OBJECTS + 1, dtype=torch.uint8)[None, :, None, None]
        return boxes, F.adaptive_avg_pool2d(inside.float(), self._recipe.size.mask_px)

    def _prompts(
        self, rng: np.random.Generator, labels: np.ndarray, turns: np.ndarray
    ) -> tuple[list[str], torch.Tensor]:
        phrases = []
        wanted = torch.zeros(self._recipe.prompts, MAX_OBJECTS, dtype=torch.bool)
        for k in range(self._recipe.prompts):
            things: list[Named] = [Label(COLOURS[c], SHAPES[s]) for c, s in labels[k % len(labels)] if c >= 0]
            draw = draw_shape_phrase if turns[k % len(labels)] else draw_phrase
            phrases.append(draw(rng, things, self._recipe.positive))
            for index, thing in enumerate(things):
                wanted[k, index] = matches(phrases[-1], thing)
        return phrases, wanted


def turn_hues(image: np.ndarray, angle_deg: int) -> np.ndarray:
    """Turn the hue of every pixel.

    Args:
        image: uint8 (H, W, 3), RGB.
        angle_deg: By how much; 0 = the image itself.
    """
    if not angle_deg:
        return image
    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV)  # hue in steps of 2 degrees, 0 to 179
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + angle_deg // 2) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
