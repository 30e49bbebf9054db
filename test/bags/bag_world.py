"""A small recorded world whose truth is known exactly, and a segmenter that sees its colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fake_segmenter import FakeSegmenter, found

from samlite_ros.bags.message_types import BAG_MESSAGES, IMAGE
from samlite_ros.bags.writer import BagWriter
from samlite_ros.messages.fill import image_message
from samlite_ros.pixels.masks import encode_rle, mask_from_array
from samlite_ros.types import DecodeOptions, Frame, Mask, Prompt, PromptResult

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 60, 220), "yellow": (220, 210, 40)}
PERIOD_NS = 100_000_000
START_NS = 1_700_000_000_000_000_000
TOPIC = "/camera/image_raw"
SIZE = (96, 128)


def colour_segmenter(**settings: Any) -> FakeSegmenter:
    """A network that finds "<colour> thing": every connected patch of exactly that colour."""
    return FakeSegmenter(find_colour, "colours", **settings)


def find_colour(frame: Frame, prompt: Prompt, options: DecodeOptions) -> PromptResult:
    """See `colour_segmenter`."""
    colour = COLOURS.get(prompt.text.split(maxsplit=1)[0])
    patches = patches_of(frame.image, colour) if colour else []
    return found(prompt, patches, scores=(0.9, 0.8), presence=(0.05, 0.9))


def patches_of(image: np.ndarray, colour: tuple[int, int, int]) -> list[Mask]:
    """Masks of the connected patches of a colour."""
    same = (np.abs(image.astype(int) - colour).sum(2) < 30).astype(np.uint8)
    count, labels = cv2.connectedComponents(same)
    return [mask_from_array(labels == number) for number in range(1, count)]


def draw_world(index: int) -> np.ndarray:
    """A red patch that moves right, a blue one that moves down, and a green one that is there from frame 5 on."""
    image = np.full((*SIZE, 3), 90, np.uint8)
    image[20:44, 10 + 3 * index : 34 + 3 * index] = COLOURS["red"]
    image[50 + index : 80 + index, 90:120] = COLOURS["blue"]
    if index >= 5:
        image[60:85, 20:50] = COLOURS["green"]
    return image


def stamp_of(index: int) -> int:
    return START_NS + index * PERIOD_NS


@dataclass(frozen=True)
class Recording:
    """A bag that a test wrote."""

    path: Path
    frames: int


def write_recording(
    path: Path,
    frames: int = 10,
    storage: str = "mcap",
    compressed: bool = False,
    topics: Sequence[str] = (TOPIC,),
    order: Sequence[int] | None = None,
) -> Recording:
    """Record the world; `order` is the order in which frames reach the recorder."""
    with BagWriter(path, storage, compressed) as bag:
        for topic in topics:
            bag.add_topic(topic, IMAGE)
        for place, index in enumerate(order if order is not None else range(frames)):
            for topic in topics:
                message = image_message(BAG_MESSAGES, draw_world(index), "rgb8", stamp_of(index), f"frame_of{topic}")
                bag.write(topic, stamp_of(place) + 5_000_000, message)
    return Recording(path, frames)


def coco_truth(frames: int = 10, phrases: Sequence[str] = tuple(f"{c} thing" for c in COLOURS)) -> dict:
    """The truth of the world as COCO instances: run lengths, stamps, track ids."""
    images, annotations = [], []
    for index in range(frames):
        images.append({"id": index + 1, "stamp_ns": stamp_of(index), "height": SIZE[0], "width": SIZE[1]})
        for category_id, phrase in enumerate(phrases, 1):
            for mask in patches_of(draw_world(index), COLOURS[phrase.split()[0]]):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": index + 1,
                        "category_id": category_id,
                        "track_id": category_id,
                        "iscrowd": 0,
                        "segmentation": {"size": list(SIZE), "counts": encode_rle(mask).tolist()},
                    }
                )
    categories = [{"id": number, "name": phrase} for number, phrase in enumerate(phrases, 1)]
    return {"images": images, "categories": categories, "annotations": annotations}
