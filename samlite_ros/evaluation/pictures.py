"""Pictures for people: images of chosen frames from a bag, masks drawn on them, sheets of many."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bags.frames import IMAGE_TYPES, check_image_topic, decode_frame, image_topics
from samlite_ros.bags.index import frame_stamp_ns
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import FrameKey
from samlite_ros.errors import BagError, StampError
from samlite_ros.foreign.files import write_bytes
from samlite_ros.messages.outputs import CAMERA_OUTPUTS
from samlite_ros.pixels.overlay import draw_overlay
from samlite_ros.types import Mask, Segmentation

NOT_CAMERAS = tuple(output.name.removeprefix("~") for output in CAMERA_OUTPUTS if output.type_name in IMAGE_TYPES)
"""Ends of the topics with images that the node makes."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TITLE_PX = 22
_GRAY, _WHITE, _BLACK = 70, (255, 255, 255), (0, 0, 0)


class Tile(NamedTuple):
    """One picture of a sheet, uint8 (H, W, 3) RGB, and its title."""

    title: str
    picture: NDArray[np.uint8]


def find_images(
    bags: Sequence[Path], wanted: Collection[FrameKey], topics: Sequence[str] = ()
) -> dict[FrameKey, NDArray[np.uint8]]:
    """Images of chosen frames.

    Args:
        bags: With camera images, looked at one after the other until all are found; where one holds several topics of
            them, frames of the same stamp in different cameras are told apart by `topics`.
        wanted: Which.
        topics: 'TOPIC' or 'NAME=TOPIC'; empty = every topic of camera images, for whichever camera.

    Returns:
        uint8 (H, W, 3) RGB by key; those that are in no bag or damaged are left out.

    Raises:
        BagError: No bag holds images on a topic that is named.
    """
    found: dict[FrameKey, NDArray[np.uint8]] = {}
    refused: list[BagError] = []
    for bag in bags:
        missing = [key for key in wanted if key not in found]
        if not missing:
            break
        with BagReader(bag) as reader:
            try:
                found |= _find_images(reader, missing, topics)
            except BagError as error:
                refused.append(error)
    if refused and len(refused) == len(bags):
        raise refused[0]
    return found


def _find_images(
    reader: BagReader, wanted: Collection[FrameKey], topics: Sequence[str]
) -> dict[FrameKey, NDArray[np.uint8]]:
    named = [item.rpartition("=") for item in topics]
    for _, _, topic in named:
        check_image_topic(reader, topic)
    cameras = {topic: name for name, _, topic in named} or {
        topic: "" for topic in image_topics(reader) if not topic.endswith(NOT_CAMERAS)
    }
    stamps = {key.stamp_ns for key in wanted}
    found: dict[FrameKey, NDArray[np.uint8]] = {}
    for message in reader.messages(list(cameras)):
        try:
            stamp = frame_stamp_ns(message)
        except StampError:
            continue
        if stamp not in stamps:
            continue
        frame = decode_frame(message, "").frame
        keys = [k for k in wanted if k.stamp_ns == stamp and cameras[message.topic] in ("", k.camera)]
        if frame is not None:
            found.update(dict.fromkeys(keys, frame.image))
    return found


def blank(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A gray picture, for a frame whose image nobody has."""
    return np.full((*size, 3), _GRAY, np.uint8)


def draw_answer(image: NDArray[np.uint8] | None, answer: Segmentation) -> NDArray[np.uint8]:
    """An answer over its image, or over gray."""
    return draw_overlay(blank(answer.size) if image is None else image, answer)


def outline(picture: NDArray[np.uint8], masks: Sequence[Mask]) -> NDArray[np.uint8]:
    """A copy with the masks' outlines, white on black."""
    out = np.ascontiguousarray(picture).copy()
    for mask in masks:
        contours, _ = cv2.findContours(mask.full().astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, contours, -1, _BLACK, 3)
        cv2.drawContours(out, contours, -1, _WHITE, 1)
    return out


def sheet(tiles: Sequence[Tile], columns: int, tile_width_px: int = 480) -> NDArray[np.uint8]:
    """Lay pictures out in rows, each below its title.

    Args:
        tiles: At least one; of any size.
        columns: Pictures in a row.
        tile_width_px: Each is scaled to this width [px].

    Returns:
        uint8 (H, W, 3), RGB.
    """
    cells = [_cell(tile, tile_width_px) for tile in tiles]
    height = max(cell.shape[0] for cell in cells)
    rows = -(-len(cells) // columns)
    out = np.zeros((rows * height, columns * tile_width_px, 3), np.uint8)
    for number, cell in enumerate(cells):
        y, x = number // columns * height, number % columns * tile_width_px
        out[y : y + cell.shape[0], x : x + tile_width_px] = cell
    return out


def _cell(tile: Tile, width_px: int) -> NDArray[np.uint8]:
    height, width = tile.picture.shape[:2]
    scaled = cv2.resize(tile.picture, (width_px, max(round(height * width_px / width), 1)))
    out = np.zeros((scaled.shape[0] + _TITLE_PX, width_px, 3), np.uint8)
    out[_TITLE_PX:] = scaled
    cv2.putText(out, tile.title, (4, _TITLE_PX - 7), _FONT, 0.45, _WHITE, 1, cv2.LINE_AA)
    return out


def save(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write an RGB picture as PNG or JPEG, by its name."""
    _, data = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_bytes(path, data.tobytes())  # of a disk that is full OpenCV says nothing
