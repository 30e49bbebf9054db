"""Made-up clips for single measurements: to and fro without end, a thing that enters, many things at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from samlite_ros.scenes.hard_sequences import Difficulty, StreamSequence, TruthFrame

RATE_HZ = 30.0


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
