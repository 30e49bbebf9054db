"""Footage with a label image for every frame, from folders: as DAVIS lays it out, or images and labels together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import FootageError, ImageDecodeError
from samlite_ros.foreign.files import read_bounded
from samlite_ros.foreign.json_file import read_json
from samlite_ros.foreign.limits import MESSAGE_BYTES, YAML_BYTES
from samlite_ros.foreign.words import one_line
from samlite_ros.pixels.decode import decode_compressed_image, decode_unchanged
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.types import Frame

DEFAULT_RATE_HZ = 24.0
"""Of DAVIS."""
IMAGES, LABELS = "JPEGImages", "Annotations"
PREFERRED_RESOLUTION = "480p"
"""Where DAVIS' layout holds several."""
EXPECTED = (
    f"expected {IMAGES}/[RESOLUTION/]SEQUENCE/*.jpg with {LABELS}/[RESOLUTION/]SEQUENCE/*.png, "
    "or folders in which a label image NAME.png lies beside each NAME.jpg"
)
LEAST_FRAMES = 2
MOST_THINGS = 255
START_NS = 1_000_000_000
_PALETTE, _COLOR_TYPE_AT = 3, 25


@dataclass(frozen=True)
class LabelledFolder:
    """One sequence.

    Args:
        name: Its folder, from the one that was named on.
        files: Image and label image of each frame, in order.
        rate_hz: Of the frames [Hz].
    """

    name: str
    files: tuple[tuple[Path, Path], ...]
    rate_hz: float

    def read(self, most: int | None = None) -> list[TruthFrame]:
        """The first `most` frames; a thing is whole where it does not touch the image's border.

        Raises:
            FootageError: A file is no image, or of another size; or a label image is none.
        """
        labels = _Labels()
        return [self._frame(number, labels) for number in range(len(self.files[:most]))]

    def _frame(self, number: int, labels: _Labels) -> TruthFrame:
        image_file, label_file = self.files[number]
        image, ids = _read_image(image_file), labels.read(label_file)
        if ids.shape != image.shape[:2]:
            raise FootageError(
                f"{label_file}: the labels are {_size(ids)}, the image {image_file.name} is {_size(image)}: "
                "expected the same size"
            )
        return labelled_frame(Frame(image, START_NS + round(number * 1e9 / self.rate_hz)), ids)


def labelled_frame(frame: Frame, ids: NDArray[np.uint8]) -> TruthFrame:
    """A frame and its labels, uint8 (H, W); a thing is whole where it does not touch the image's border."""
    border = {int(i) for edge in (ids[0], ids[-1], ids[:, 0], ids[:, -1]) for i in np.unique(edge)}
    return TruthFrame(frame, ids, frozenset({int(i) for i in np.unique(ids)} - border - {0}))


def find_labelled_folders(folder: Path, rate_hz: float | None = None) -> list[LabelledFolder]:
    """All sequences in a folder; nothing is decoded yet.

    Args:
        folder: In one of the layouts of EXPECTED; a `sequence.json` beside the images may tell their `rate_hz`.
        rate_hz: Of all sequences [Hz]; None = what `sequence.json` says, else `DEFAULT_RATE_HZ`.

    Raises:
        FootageError: The folder is in no such layout; an image has no label image; a sequence has one frame only.
    """
    if not folder.is_dir():
        raise FootageError(f"{folder}: no such folder: {EXPECTED}")
    pairs = _davis_folders(folder) if (folder / IMAGES).is_dir() else _plain_folders(folder)
    if not pairs:
        raise FootageError(f"{folder}: no images with label images in it: {EXPECTED}")
    return [LabelledFolder(n, _pair(*places), rate_hz or _rate_hz(places[0])) for n, places in sorted(pairs.items())]


def _davis_folders(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Folders of images and of labels by the sequence's name, all of one resolution."""
    root = folder / IMAGES
    found = [images.relative_to(root) for images in _folders_below(root) if _images(images)]
    resolutions = sorted({place.parent for place in found})
    chosen = next((r for r in resolutions if r.name == PREFERRED_RESOLUTION), resolutions[0] if resolutions else None)
    return {p.name: (root / p, folder / LABELS / p) for p in found if p.parent == chosen}


def _plain_folders(folder: Path) -> dict[str, tuple[Path, Path]]:
    found = [place for place in _folders_below(folder) if _images(place) and any(place.glob("*.png"))]
    return {str(p.relative_to(folder)) if p != folder else folder.resolve().name: (p, p) for p in found}


def _folders_below(folder: Path) -> list[Path]:
    """The folder and all below it; links are followed."""
    return [Path(place) for place, _, _ in os.walk(folder, followlinks=True)]


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))


def _pair(images: Path, labels: Path) -> tuple[tuple[Path, Path], ...]:
    pairs = tuple((image, labels / f"{image.stem}.png") for image in _images(images))
    missing = [label for _, label in pairs if not label.is_file()]
    if missing:
        raise FootageError(
            f"{images}: {len(missing)} of {len(pairs)} images have no label image: expected {missing[0]} and so on"
        )
    if len(pairs) < LEAST_FRAMES:
        raise FootageError(f"{images}: a sequence of one frame: expected {LEAST_FRAMES} at least")
    return pairs


def _rate_hz(folder: Path) -> float:
    file = folder / "sequence.json"
    if not file.is_file():
        return DEFAULT_RATE_HZ
    try:
        rate_hz = float(read_json(file, YAML_BYTES)["rate_hz"])
    except (KeyError, OSError, OverflowError, TypeError, ValueError) as error:
        words = f"{type(error).__name__}: {one_line(error)}"
        raise FootageError(f'{file}: expected {{"rate_hz": 24}}, got {words}') from error
    if not 0 < rate_hz < float("inf"):
        raise FootageError(f"{file}: rate_hz is {rate_hz}, expected frames per second")
    return rate_hz


def _read_image(file: Path) -> NDArray[np.uint8]:
    try:
        return decode_compressed_image(read_bounded(file, MESSAGE_BYTES), "jpeg")
    except (ImageDecodeError, OSError) as error:
        raise FootageError(f"{file}: {error}") from error


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


@dataclass
class _Labels:
    """Reads the label images of one sequence: the same value, or colour of a palette, is the same thing in all of them.

    Args:
        known: Ids by value; 0 = nothing.
    """

    known: dict[int, int] = field(default_factory=dict)

    def read(self, file: Path) -> NDArray[np.uint8]:
        """uint8 (H, W): the thing seen at each pixel, 0 = none."""
        try:
            data = read_bounded(file, MESSAGE_BYTES)
            pixels = decode_unchanged(data)
        except (ImageDecodeError, OSError) as error:
            raise FootageError(f"{file}: {error}: expected a label image (PNG)") from error
        values, places = np.unique(_as_numbers(np.asarray(pixels)), return_inverse=True)
        if len(values) > MOST_THINGS + 1:
            raise FootageError(f"{file}: {len(values)} different values: expected a label image, one value a thing")
        nothing = _nothing(data)
        ids = [0 if v == nothing else self.known.setdefault(int(v), len(self.known) + 1) for v in values]
        if max(ids) > MOST_THINGS:
            raise FootageError(f"{file}: more than {MOST_THINGS} things in the sequence: expected at most so many")
        return np.asarray(np.asarray(ids, np.uint8)[places].reshape(pixels.shape[:2]))


def _as_numbers(pixels: NDArray[Any]) -> NDArray[np.int64]:
    """int64 (H, W): gray values as they are, colours as one number; opacity does not count."""
    if pixels.ndim == 2:
        return pixels.astype(np.int64)
    return np.asarray(pixels[..., :3].astype(np.int64) @ np.array([1, 1 << 16, 1 << 32]))


def _nothing(data: bytes) -> int:
    """The number of label 0: of a PNG with a palette its first colour, else 0."""
    at = data.find(b"PLTE")
    if data[_COLOR_TYPE_AT : _COLOR_TYPE_AT + 1] != bytes([_PALETTE]) or at < 0:
        return 0
    red, green, blue = data[at + 4 : at + 7]
    return int(_as_numbers(np.array([[[blue, green, red]]], np.uint8))[0, 0])


def labels_of_masks(masks: Mapping[int, NDArray[np.bool_]], size: Sequence[int]) -> NDArray[np.uint8]:
    """uint8 (H, W) from a mask, bool (H, W), for each id; where two overlap, the smaller one is seen."""
    ids = np.zeros(tuple(size), np.uint8)
    for thing, mask in sorted(masks.items(), key=lambda item: -np.count_nonzero(item[1])):
        ids[mask] = thing
    return ids
