"""Makes and stores the crops: one folder per source, each made once (delete it to have it made anew)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np

from samlite_ros.streaming.carry.refiner import Refiner
from samlite_ros.training.refiner.batches import CropTable, table_of
from samlite_ros.training.refiner.clips import read_clips
from samlite_ros.training.refiner.crops import Crop, crops_of
from samlite_ros.training.refiner.made_clips import (
    composite,
    cut_out,
    frames_of,
    read_photos,
    rendered,
    shapes_of,
    varied,
)

Say = Callable[[str], None]
"""Takes a line for people."""
Links = Callable[[str], Refiner | None]
"""The refiner that makes links, by the name of a sequence; None = links are the truth, spoilt."""
SOURCES = ("real", "mixed", "photos", "rendered")


@dataclass(frozen=True)
class Amounts:
    """How much of each source.

    Args:
        real_passes: Times that each sequence is gone through; as it is the first time, varied after that.
        mixed, photos, rendered: Clips made of each kind.
    """

    real_passes: int = 4
    mixed: int = 130
    photos: int = 110
    rendered: int = 24

    def scaled(self, share: float) -> Amounts:
        """So large a share of it, at least one of each."""
        return Amounts(*(max(round(share * value), 1) for value in astuple(self)))


def prepare(
    folder: Path,
    sequences: Path,
    amounts: Amounts,
    links: Links,
    seed: int,
    say: Say,
    only: tuple[str, ...] = SOURCES,
) -> list[Path]:
    """Make what is not there yet; returns the folders.

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
        path = folder / source
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
        for number in range(amounts.real_passes):
            for clip in real:
                yield from crops_of(rng, varied(rng, clip) if number else clip, 3, 14, links(clip.name))
    elif source == "mixed":
        for _ in range(amounts.mixed):
            thing, scene = rng.choice(len(real), 2, replace=False)
            made = composite(rng, real[thing], real[scene])
            yield from crops_of(rng, made, 6, 12, links(real[thing].name))
    elif source == "photos":
        photos = read_photos() + frames_of(real)
        shapes = shapes_of(real)
        for _ in range(amounts.photos):
            yield from crops_of(rng, cut_out(rng, photos, shapes), 6, 8, links(""))
    else:
        for index in range(amounts.rendered):
            yield from crops_of(rng, rendered(seed * 1000 + 500 + index, index), 8, 5, links(""))


def store(folder: Path, crops: list[Crop]) -> None:
    """Write crops, laid out as they are drawn; the folder appears only when it is whole."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    table = table_of(crops)
    for name in table.__dataclass_fields__:
        np.save(part / f"{name}.npy", getattr(table, name))
    part.rename(folder)


def read(folder: Path) -> CropTable:
    """Crops as stored; they stay on disk and are shared by all who read them."""
    return CropTable(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in CropTable.__dataclass_fields__))
