"""Made-up clips for single measurements: to and fro without end, a thing that enters, many things at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.scenes.hard_sequences import STILL, Difficulty, StreamSequence, TruthFrame

RATE_HZ = 30.0
SIZES_PX = (24, 32, 48)
CONTRASTS = {"dark": 1 / 3, "bright": 1.8, "faint": 0.8}
"""Brightness of a thing that enters, over the scene's mean."""
PLACES = ("left", "right", "top", "bottom")
SPEED_PX_S = 150.0
ENTERS_S = (1.0, 2.0)
ENTERING_ID = 200
ENTRIES = 24
"""Size, contrast and place go round, the moment and the place along the border are random."""


def pendulum(truth: Sequence[TruthFrame], count: int | None = None) -> list[TruthFrame]:
    """The same frames to and fro.

    Args:
        truth: The frames.
        count: How many to make; None = forth and back once, so that the last is followed by the first.
    """
    there_and_back = [*truth, *truth[-2:0:-1]]
    start_ns = truth[0].frame.stamp_ns
    return [
        _at(there_and_back[index % len(there_and_back)], start_ns + round(index * 1e9 / RATE_HZ))
        for index in range(len(there_and_back) if count is None else count)
    ]


def _at(truth: TruthFrame, stamp_ns: int) -> TruthFrame:
    """The same frame at another time."""
    return replace(truth, frame=replace(truth.frame, stamp_ns=stamp_ns))


def many_things(seed: int, count: int, size: tuple[int, int], frames: int) -> list[TruthFrame]:
    """Textured squares that drift over a pan's background, on a loose grid.

    Args:
        seed: The same seed gives the same frames.
        count: Number of squares.
        size: (H, W) [px].
        frames: Number of frames.
    """
    scale = size[1] / 640
    background = StreamSequence(Difficulty("empty", "pan", 60.0, count=0), seed, frames, size=size)
    rng = np.random.default_rng([31, seed])
    columns = int(np.ceil(np.sqrt(count * 4 / 3)))
    side = int(min(70, 440 / columns) * scale)
    places = [((i % columns + 0.5) / columns, (i // columns + 0.5) / np.ceil(count / columns)) for i in range(count)]
    textures = [
        cv2.resize(rng.integers(40, 230, (6, 6, 3)).astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
        for _ in range(count)
    ]
    speeds = rng.uniform(-0.6, 0.6, (count, 2)) * scale
    out = []
    for index, truth in enumerate(background):
        image, ids = truth.frame.image.copy(), np.zeros(size, np.uint8)
        for number, ((x, y), texture) in enumerate(zip(places, textures, strict=True)):
            x0 = int(np.clip(x * size[1] - side / 2 + speeds[number, 0] * index, 0, size[1] - side))
            y0 = int(np.clip(y * size[0] - side / 2 + speeds[number, 1] * index, 0, size[0] - side))
            image[y0 : y0 + side, x0 : x0 + side] = texture
            ids[y0 : y0 + side, x0 : x0 + side] = number + 1
        out.append(TruthFrame(replace(truth.frame, image=image), ids, frozenset()))
    return out


@dataclass(frozen=True)
class Entry:
    """A square that slides into a still scene and stays.

    Args:
        size_px: Its side.
        contrast: One of CONTRASTS.
        place: The border that it comes over, one of PLACES.
        along: Where on that border, 0 to 1.
        at_s: When its first pixel is in sight [s].
    """

    size_px: int
    contrast: str
    place: str
    along: float
    at_s: float

    def box(self, time_s: float, size: tuple[int, int]) -> tuple[slice, slice] | None:
        """Its pixels (rows, columns) at a time, in an image (H, W); None = not there yet."""
        moved = int(np.clip(SPEED_PX_S * (time_s - self.at_s), 0, 3 * self.size_px))
        if moved == 0:
            return None
        height, width = size
        across, length = (width, height) if self.place in ("left", "right") else (height, width)
        start = int(self.along * (length - self.size_px))
        far, near = moved, max(moved - self.size_px, 0)
        inwards = slice(near, far) if self.place in ("left", "top") else slice(across - far, across - near)
        aside = slice(start, start + self.size_px)
        return (aside, inwards) if self.place in ("left", "right") else (inwards, aside)

    def drawn(self, truth: Sequence[TruthFrame]) -> Iterator[TruthFrame]:
        """The same frames with the square in them."""
        start_ns, texture = truth[0].frame.stamp_ns, self._texture(truth[0])
        for index, frame in enumerate(truth):
            box = self.box((frame.frame.stamp_ns - start_ns) / 1e9, frame.frame.size)
            yield frame if box is None else self._with_square(frame, box, texture, index)

    def _texture(self, truth: TruthFrame) -> NDArray[np.float32]:
        """Float32 (size, size, 3): blotches about a brightness of its own."""
        rng = np.random.default_rng([42, round(1e6 * self.along)])
        blotches = rng.normal(0, 12, (6, 6, 1)).astype(np.float32)
        large = np.asarray(cv2.resize(blotches, (self.size_px, self.size_px), interpolation=cv2.INTER_CUBIC))
        return np.asarray(CONTRASTS[self.contrast] * truth.frame.image.mean((0, 1)) + large[..., None], np.float32)

    def _with_square(
        self, truth: TruthFrame, box: tuple[slice, slice], texture: NDArray[np.float32], index: int
    ) -> TruthFrame:
        image, ids = truth.frame.image.copy(), truth.ids.copy()
        height, width = ids[box].shape
        first = self.place in ("right", "bottom")  # its leading edge is the first that is seen
        part = texture[:height, :width] if first else texture[-height:, -width:]
        noise = np.random.default_rng([43, index]).normal(0, STILL.noise, part.shape)
        image[box] = np.clip(part + noise, 0, 255).astype(np.uint8)
        ids[box] = ENTERING_ID
        return replace(truth, frame=replace(truth.frame, image=image), ids=ids)


def entries(seed: int, count: int = ENTRIES) -> list[Entry]:
    """Every size with every contrast, over every border, at random moments."""
    rng = np.random.default_rng([41, seed])
    kinds = [(size, contrast) for size in SIZES_PX for contrast in CONTRASTS]
    return [
        Entry(*kinds[i % len(kinds)], PLACES[i % len(PLACES)], float(rng.uniform()), float(rng.uniform(*ENTERS_S)))
        for i in range(count)
    ]
