"""Which images an int8 export is calibrated on and judged by: a folder's, a bag's, or rendered ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from samlite_ros.commands.image_arguments import IMAGE_SUFFIXES
from samlite_ros.commands.segment import read_image
from samlite_ros.errors import ExportError, ImageDecodeError

RENDERED = "rendered"
_FIRST_SEED = 9_300_000
LEAST_FRAMES = 8
T = TypeVar("T")


def read_frames(source: str, image_topic: str, count: int) -> list[NDArray[np.uint8]]:
    """So many images at most, uint8 (H, W, 3), RGB, evenly spread over what is there.

    Args:
        source: A folder of images, a bag, or 'rendered'.
        image_topic: Of a bag; '' = its only one.
        count: How many.

    Raises:
        ExportError: There are fewer than `LEAST_FRAMES`.
        BagError: The bag cannot be read.
    """
    if source == RENDERED:
        return _rendered(count)
    path = Path(source).expanduser()
    if not path.exists():
        raise ExportError(f"--calibrate {source}: there is no such folder or bag")
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else []
    frames = list(_of_files(spread(files, count)) if files else _of_bag(path, image_topic, count))
    if len(frames) < LEAST_FRAMES:
        raise ExportError(
            f"--calibrate {source}: {len(frames)} images, expected at least {LEAST_FRAMES}, and better a hundred"
        )
    return frames


def spread(items: list[T], count: int) -> list[T]:
    """So many of them at most, evenly."""
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _rendered(count: int) -> list[NDArray[np.uint8]]:
    from samlite_ros.scenes.render import render_scene

    return [render_scene(_FIRST_SEED + i).image for i in range(count)]


def _of_files(files: list[Path]) -> Iterator[NDArray[np.uint8]]:
    for file in files:
        try:
            yield read_image(file)
        except ImageDecodeError as error:
            raise ExportError(f"--calibrate: {error}") from error


def _of_bag(path: Path, image_topic: str, count: int) -> Iterator[NDArray[np.uint8]]:
    from samlite_ros.bags.dependencies import check_libraries

    check_libraries()
    from samlite_ros.bags.frames import choose_image_topics, read_frames
    from samlite_ros.bags.index import index_bag
    from samlite_ros.bags.reader import BagReader

    with BagReader(path) as reader:
        cameras = choose_image_topics(reader, [image_topic] if image_topic else [])
        index = index_bag(reader, list(cameras))
        wanted = set(spread(list(range(len(index.entries))), count))
        for number, decoded in enumerate(read_frames(reader, index, cameras)):
            if number in wanted and decoded.frame is not None:
                yield decoded.frame.image
