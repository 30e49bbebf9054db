"""Short clips with the true mask of every frame: read from folders, or made (see `made_clips`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

RATE_HZ = 24.0
LONG_SIDE_PX = 544


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip.

    Args:
        name: Of its source, for weighing and for leaving out.
        images: uint8 (H, W, 3) RGB each.
        labels: uint8 (H, W) each, 0 = nothing.
        rate_hz: Frames per second.
        sources: Names of the sequences that it was made of.
    """

    name: str
    images: list[NDArray[np.uint8]]
    labels: list[NDArray[np.uint8]]
    rate_hz: float = RATE_HZ
    sources: frozenset[str] = field(default_factory=frozenset)


def read_clips(folder: Path) -> Iterator[Clip]:
    """All sequences of a folder: one folder each with JPEGs and label PNGs, or as DAVIS lays them out."""
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        if next(place.glob("*.jpg"), None) is not None:
            yield _read(place.name, sorted(place.glob("*.jpg")), place)
    images = next((p for p in (folder / "JPEGImages" / "480p", folder / "JPEGImages") if p.is_dir()), None)
    if images is None:
        return
    labels = folder / "Annotations" / images.relative_to(folder / "JPEGImages")
    for place in sorted(p for p in images.iterdir() if p.is_dir()):
        yield _read(place.name, sorted(place.glob("*.jpg")), labels / place.name)


def _read(name: str, paths: list[Path], labels: Path) -> Clip:
    """A sequence; images are shrunk to LONG_SIDE_PX, masks of 0 and 255 become 0 and 1."""
    images, masks = [], []
    for path in paths:
        image = _pixels(path, cv2.IMREAD_COLOR)[..., ::-1]
        label = _pixels(labels / f"{path.stem}.png", cv2.IMREAD_UNCHANGED)
        label = label if label.ndim == 2 else label.max(2)
        if label.max() == 255 and len(np.unique(label)) == 2:
            label = np.asarray(label > 0, np.uint8)
        factor = LONG_SIDE_PX / max(image.shape[:2])
        if factor < 1:
            size = round(image.shape[1] * factor), round(image.shape[0] * factor)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
        images.append(np.ascontiguousarray(image, np.uint8))
        masks.append(np.ascontiguousarray(label, np.uint8))
    return Clip(name, images, masks, sources=frozenset([name]))


def _pixels(path: Path, flags: int) -> NDArray[Any]:
    """An image file.

    Raises:
        OSError: It cannot be read.
    """
    image = cv2.imread(str(path), flags)
    if image is None:
        raise OSError(f"cannot read {path}")
    return image
