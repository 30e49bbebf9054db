"""Which arguments are images and which are phrases?"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".dib", ".exr", ".hdr", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif"}
    | {".tiff", ".webp", ".heic", ".heif", ".avif", ".jxl"}
)
STDIN = "-"
"""The image that comes on standard input."""


def split_arguments(items: Sequence[str], extra_phrases: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Tell images from phrases; each is returned once, in its order.

    Args:
        items: Arguments of either kind; '-' is the image on standard input, and commas separate phrases, as in a topic.
        extra_phrases: Phrases for certain.

    Raises:
        ValueError: An argument looks like a path, but no file is there; an image or a phrase is missing.
    """
    images = [item for item in items if _is_image(item)]
    phrases = [item for item in items if not _is_image(item)]
    for phrase in phrases:
        _refuse_path(phrase)
    parts = [part for phrase in phrases for part in phrase.split(",") if part.strip() or not phrase.strip(", ")]
    phrases = [p.strip() for p in [*parts, *extra_phrases]]
    if not images:
        raise ValueError(f"none of the arguments is an image file: {', '.join(map(repr, items))}")
    if not all(phrases) or not phrases:
        raise ValueError("say what to look for: at least one phrase, for example 'red ball'")
    return list(dict.fromkeys(map(Path, images))), list(dict.fromkeys(phrases))


def _is_image(item: str) -> bool:
    """A file with an image's name or content; a damaged image is still one, to be reported as such."""
    if item == STDIN:
        return True
    path = Path(item)
    if not _is_there(path, Path.is_file):
        return False
    return path.suffix.lower() in IMAGE_SUFFIXES or bool(cv2.haveImageReader(item))


def _is_there(path: Path, question: Callable[[Path], bool]) -> bool:
    """Ask the file system; a phrase may be longer than any file's name."""
    try:
        return question(path)
    except (OSError, ValueError):
        return False


def _refuse_path(phrase: str) -> None:
    looks_like_path = Path(phrase).suffix.lower() in IMAGE_SUFFIXES or os.sep in phrase
    if not looks_like_path:
        return
    problem = "is not an image" if _is_there(Path(phrase), Path.exists) else "does not exist"
    raise ValueError(f"{phrase!r} {problem} (if it is what to look for, write --phrase {phrase!r})")
