"""A small bag with ground truth, from rendered scenes: the same arguments give the same bytes.

`samlite make-bag OUT` writes the bag and OUT/truth.json (COCO instances with stamps and track ids).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from samlite_ros.bags.message_types import BAG_MESSAGES, COMPRESSED_IMAGE, IMAGE
from samlite_ros.bags.writer import BagWriter
from samlite_ros.messages.fill import header_message, image_message
from samlite_ros.pixels.masks import encode_rle, mask_from_array
from samlite_ros.scenes import COLOURS, SHAPES, Scene, SequenceOptions, matches
from samlite_ros.scenes import Sequence as SceneSequence

TRUTH_NAME = "truth.json"
FRAME_ID = "camera_optical_frame"


@dataclass(frozen=True)
class MadeBag:
    """What to write.

    Args:
        kind: One of `scenes.KINDS`.
        seed: Chooses the scene.
        scenes: How the sequence is made.
        phrases: Whose truth is written; empty = every kind of thing that is seen, and one that is not.
        topic: Of the images.
        jpeg_quality: 1 to 100; 0 = raw images.
        storage: 'mcap' or 'sqlite3'.
    """

    kind: str = "fly"
    seed: int = 1
    scenes: SequenceOptions = field(default_factory=lambda: SequenceOptions(frames=60))
    phrases: tuple[str, ...] = ()
    topic: str = "/camera/image"
    jpeg_quality: int = 0
    storage: str = "mcap"


def make_bag(folder: Path, made: MadeBag) -> Path:
    """Write the bag and its truth.

    Args:
        folder: Where to; holds no bag yet.
        made: What to write.

    Returns:
        The truth file.

    Raises:
        BagError: The folder holds a bag already.
    """
    sequence = SceneSequence(made.kind, made.seed, made.scenes)
    truth = _TruthFile(made.phrases or _phrases_of(sequence))
    with BagWriter(folder, made.storage) as bag:
        bag.add_topic(made.topic, COMPRESSED_IMAGE if made.jpeg_quality else IMAGE)
        for scene in sequence:
            bag.write(made.topic, scene.stamp_ns, _to_message(scene, made.jpeg_quality))
            truth.add(scene)
    path = folder / TRUTH_NAME
    path.write_text(json.dumps(truth.content, separators=(",", ":")), encoding="utf-8")
    return path


def _phrases_of(sequence: SceneSequence) -> tuple[str, ...]:
    """What is in the scene, and the first kind of thing that is not."""
    there = sorted({f"{thing.colour} {thing.shape}" for thing in sequence.world.things})
    absent = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES if f"{colour} {shape}" not in there]
    return (*there, *absent[:1])


def _to_message(scene: Scene, jpeg_quality: int) -> Any:
    if not jpeg_quality:
        return image_message(BAG_MESSAGES, scene.image, "rgb8", scene.stamp_ns, FRAME_ID)
    bgr = cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    header = header_message(BAG_MESSAGES, scene.stamp_ns, FRAME_ID)
    return BAG_MESSAGES.new(COMPRESSED_IMAGE, header=header, format="rgb8; jpeg compressed bgr8", data=data.ravel())


class _TruthFile:
    """COCO instances; one category per phrase, one annotation per thing and phrase that names it."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._phrases = tuple(phrases)
        categories = [{"id": number, "name": phrase} for number, phrase in enumerate(phrases, 1)]
        self.content: dict[str, list[dict[str, Any]]] = {"images": [], "categories": categories, "annotations": []}

    def add(self, scene: Scene) -> None:
        """Add one image and all that is to be seen in it."""
        height, width = scene.image.shape[:2]
        image_id = len(self.content["images"]) + 1
        self.content["images"].append({"id": image_id, "stamp_ns": scene.stamp_ns, "height": height, "width": width})
        for thing in scene.objects:
            mask = mask_from_array(scene.mask(thing.track_id))
            counts = encode_rle(mask).tolist()
            for category_id, phrase in enumerate(self._phrases, 1):
                if not matches(phrase, thing):
                    continue
                x0, y0, x1, y1 = (float(v) for v in thing.box_xyxy)
                self.content["annotations"].append(
                    {
                        "id": len(self.content["annotations"]) + 1,
                        "image_id": image_id,
                        "category_id": category_id,
                        "track_id": int(thing.track_id),
                        "iscrowd": 0,
                        "area": mask.area,
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "segmentation": {"size": [height, width], "counts": counts},
                    }
                )
