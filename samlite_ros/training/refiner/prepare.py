"""Makes and stores the crops: one file per source, each made once (delete it to have it made anew)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.refiner import Refiner
from samlite_ros.training.refiner.batches import CropTable, table_of
from samlite_ros.training.refiner.clips import Clip, read_clips
from samlite_ros.training.refiner.crops import Crop, crops_of
from samlite_ros.training.refiner.made_clips import composite, cut_out, read_photos, rendered

Say = Callable[[str], None]
"""Takes a line for people."""
Links = Callable[[str], Refiner | None]
"""The refiner that makes links, by the name of a sequence; None = links are the truth, spoilt."""
SOURCES = ("real", "mixed", "photos", "rendered")


@dataclass(frozen=True)
class Amounts:
    """How much of each source.

    Args:
        real_passes: Times that each sequence is gone through.
        mixed, photos, rendered: Clips made of each kind.
    """

    real_passes: int = 2
    mixed: int = 110
    photos: int = 90
    rendered: int = 16


def prepare(
    folder: Path,
    sequences: Path,
    amounts: Amounts,
    links: Links,
    seed: int,
    say: Say,
    only: tuple[str, ...] = SOURCES,
) -> list[Path]:
    """Make what is not there yet; returns the files.

    Args:
        folder: Where they go.
        sequences: Real sequences with masks: see `clips.read_clips`.
        amounts: How much.
        links: Give the refiner that makes the links of a clip's chains, by the name of the thing's sequence.
        seed: The same seed, data and refiners give the same crops.
        say: Gets a line now and then.
        only: Which sources.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    paths = []
    for number, source in enumerate(only):
        path = folder / f"{source}.npz"
        paths.append(path)
        if path.exists():
            continue
        rng = np.random.default_rng([seed, SOURCES.index(source)])
        began = time.monotonic()
        crops = list(_crops(rng, source, sequences, amounts, links, seed))
        store(path, crops)
        say(f"{source}: {len(crops)} crops in {time.monotonic() - began:.0f} s ({number + 1} of {len(only)})")
    return paths


def _crops(
    rng: np.random.Generator, source: str, sequences: Path, amounts: Amounts, links: Links, seed: int
) -> Iterator[Crop]:
    real = list(read_clips(sequences)) if source != "rendered" else []
    if source == "real":
        for _ in range(amounts.real_passes):
            for clip in real:
                yield from crops_of(rng, clip, 3, 14, links(clip.name))
    elif source == "mixed":
        for _ in range(amounts.mixed):
            thing, scene = rng.choice(len(real), 2, replace=False)
            made = composite(rng, real[thing], real[scene])
            yield from crops_of(rng, made, 6, 12, links(real[thing].name))
    elif source == "photos":
        photos = list(read_photos().values())
        shapes = shapes_of(real)
        for _ in range(amounts.photos):
            yield from crops_of(rng, cut_out(rng, photos, shapes), 6, 8, links(""))
    else:
        for index in range(amounts.rendered):
            yield from crops_of(rng, rendered(seed * 1000 + 500 + index, index), 8, 5, links(""))


def shapes_of(clips: list[Clip]) -> list[NDArray[np.bool_]]:
    """Cropped masks of things, some per sequence."""
    out = []
    for clip in clips:
        for label in clip.labels[::12]:
            mask = label > 0
            x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
            if w > 40 and h > 40:
                out.append(mask[y : y + h, x : x + w])
    return out


def store(path: Path, crops: list[Crop]) -> None:
    """Write crops; a file appears only when it is whole."""
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        planes=np.stack([c.planes for c in crops]),
        truth=np.stack([c.truth for c in crops]),
        valid=np.stack([c.valid for c in crops]),
        gap=np.array([c.gap for c in crops]),
        clip=np.array([c.clip for c in crops]),
        sources=np.array([c.sources for c in crops]),
    )
    part.rename(path)


def read(path: Path) -> CropTable:
    """Read crops back."""
    with np.load(path) as stored:
        return table_of(**{name: stored[name] for name in stored.files})
