"""A small painted world with exact truth, and a segmenter that knows it: what the streaming tests run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from fake_segmenter import FakeSegmenter, found
from numpy.typing import NDArray

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.types import (
    DecodeOptions,
    Frame,
    Prompt,
    PromptResult,
    Query,
    QueryKey,
    Segmentation,
    Vocabulary,
)

RATE_NS = 33_333_333
START_NS = 1_000_000_000


def query(phrase: str, class_id: int = 0, client: str = "test", **settings: float) -> Query:
    """A query whose id is its phrase."""
    return Query(QueryKey(client, phrase), Prompt(phrase), class_id, **settings)  # type: ignore[arg-type]


def vocabulary(*phrases: str, epoch: int = 1) -> Vocabulary:
    """One query per phrase."""
    return Vocabulary(epoch, tuple(query(p, i) for i, p in enumerate(phrases)))


@dataclass(frozen=True)
class Disc:
    """A striped disc.

    Args:
        phrase: What finds it.
        color: (r, g, b).
        radius_px: Its radius.
        center_at: (x, y) [px] by frame number; None = not there.
    """

    phrase: str
    color: tuple[int, int, int]
    radius_px: float
    center_at: Callable[[int], tuple[float, float] | None]


@dataclass(frozen=True)
class PaintedWorld:
    """Discs over a textured floor, later ones in front.

    Args:
        discs: The things.
        size: (H, W) [px].
        noise: Standard deviation [levels].
        gray: Without colour.
    """

    discs: Sequence[Disc]
    size: tuple[int, int] = (240, 320)
    noise: float = 2.0
    gray: bool = False

    def frame(self, index: int) -> Frame:
        """The image of a frame number."""
        rng = np.random.default_rng([5, index])
        image = _floor(self.size).copy()
        for disc in self.discs:
            shape = self._shape(disc, index)
            if shape is not None:
                image[shape] = _striped(disc, self.size, index)[shape]
        noisy = image.astype(np.float32)
        if self.noise:
            noisy += self.noise * rng.standard_normal(image.shape, np.float32)
        if self.gray:
            noisy = np.repeat(noisy.mean(2, keepdims=True), 3, 2)
        return Frame(np.clip(noisy, 0, 255).astype(np.uint8), stamp_ns(index))

    def truth(self, index: int) -> list[NDArray[np.bool_]]:
        """The visible pixels of each disc, bool (H, W)."""
        masks: list[NDArray[np.bool_]] = []
        for disc in self.discs:
            shape = self._shape(disc, index)
            inside = np.zeros(self.size, bool) if shape is None else shape
            masks = [m & ~inside for m in masks] + [inside]
        return masks

    def _shape(self, disc: Disc, index: int) -> NDArray[np.bool_] | None:
        center = disc.center_at(index)
        if center is None:
            return None
        y, x = np.ogrid[: self.size[0], : self.size[1]]
        return np.asarray((x - center[0]) ** 2 + (y - center[1]) ** 2 < disc.radius_px**2)


def stamp_ns(index: int) -> int:
    """Stamp of a frame number [ns]."""
    return START_NS + index * RATE_NS


def index_of(stamp: int) -> int:
    """Frame number of a stamp [ns]."""
    return round((stamp - START_NS) / RATE_NS)


@lru_cache
def _floor(size: tuple[int, int]) -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    coarse = rng.uniform(90, 150, (size[0] // 8 + 1, size[1] // 8 + 1, 1)).astype(np.float32)
    gray = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.repeat(gray.clip(0, 255)[..., None], 3, 2).astype(np.uint8)


def _striped(disc: Disc, size: tuple[int, int], index: int) -> NDArray[np.uint8]:
    center = disc.center_at(index) or (0.0, 0.0)
    y, x = np.ogrid[: size[0], : size[1]]
    wave = 0.8 + 0.2 * np.sin((x - center[0]) * 0.5) * np.cos((y - center[1]) * 0.35)
    return (wave[..., None] * np.array(disc.color)).clip(0, 255).astype(np.uint8)


def truth_segmenter(
    world: PaintedWorld,
    misses: Callable[[int, int], bool] = lambda index, disc: False,
    also: Mapping[str, str] | None = None,
) -> FakeSegmenter:
    """A network that knows the truth.

    Args:
        world: The truth.
        misses: Whether it overlooks disc number `disc` in frame `index`.
        also: Phrases that find what another phrase finds.
    """

    def find(frame: Frame, prompt: Prompt, options: DecodeOptions) -> PromptResult:
        index, wanted = index_of(frame.stamp_ns), (also or {}).get(prompt.text, prompt.text)
        things = enumerate(zip(world.discs, world.truth(index), strict=True))
        masks = [
            mask_from_array(truth)
            for number, (disc, truth) in things
            if disc.phrase == wanted and truth.any() and not misses(index, number)
        ]
        return found(prompt, masks, presence=(0.02, 0.95))

    return FakeSegmenter(find, "truth")


def best_iou(answer: Segmentation, truth: NDArray[np.bool_]) -> float:
    """Overlap of a thing with the instance that covers it best; 0 where there is none."""
    overlaps = [0.0]
    for instance in answer.instances:
        mask = instance.mask.full()
        overlaps.append(float((mask & truth).sum() / (mask | truth).sum()))
    return max(overlaps)
