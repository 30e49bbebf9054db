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
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bags.message_types import BAG_MESSAGES, CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from samlite_ros.bags.writer import BagWriter
from samlite_ros.foreign.files import write_text
from samlite_ros.messages.fill import header_message, image_message
from samlite_ros.pixels.masks import encode_rle, mask_from_array
from samlite_ros.scenes import COLOURS, SHAPES, Scene, SequenceOptions, matches
from samlite_ros.scenes import Sequence as SceneSequence
from samlite_ros.scenes.depth import DepthSensor, measure_depth, true_place

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
        depth: Write depth images and calibration beside them, and where the true things are.
        jpeg_quality: 1 to 100; 0 = raw images.
        storage: 'mcap' or 'sqlite3'.
    """

    kind: str = "fly"
    seed: int = 1
    scenes: SequenceOptions = field(default_factory=lambda: SequenceOptions(frames=60))
    phrases: tuple[str, ...] = ()
    topic: str = "/camera/image"
    depth: bool = False
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
        if made.depth:
            bag.add_topic(beside(made.topic, "depth"), IMAGE)
            bag.add_topic(beside(made.topic, "camera_info"), CAMERA_INFO)
        for index, scene in enumerate(sequence):
            depth = sequence.exact_depth(index) if made.depth else None
            bag.write(made.topic, scene.stamp_ns, _to_message(scene, made.jpeg_quality))
            if depth is not None:
                _write_depth(bag, made, scene, depth)
            truth.add(scene, depth)
    path = folder / TRUTH_NAME
    write_text(path, json.dumps(truth.content, separators=(",", ":")))
    return path


def beside(topic: str, name: str) -> str:
    """The name of a topic in the same namespace."""
    return f"{topic.rpartition('/')[0]}/{name}"


def _write_depth(bag: BagWriter, made: MadeBag, scene: Scene, exact: NDArray[np.float32]) -> None:
    """As a depth camera measures it, registered to the image."""
    measured = measure_depth(exact, DepthSensor(), np.random.default_rng([made.seed, scene.stamp_ns]))
    depth = image_message(BAG_MESSAGES, measured, "16UC1", scene.stamp_ns, FRAME_ID)
    bag.write(beside(made.topic, "depth"), scene.stamp_ns, depth)
    bag.write(beside(made.topic, "camera_info"), scene.stamp_ns, _info_message(scene))


def _info_message(scene: Scene) -> Any:
    (h, w), focal_px = scene.camera.size, scene.camera.focal_px
    matrix = np.array([[focal_px, 0, w / 2 - 0.5], [0, focal_px, h / 2 - 0.5], [0, 0, 1]])  # of pixels' centres
    return BAG_MESSAGES.new(
        CAMERA_INFO,
        header=header_message(BAG_MESSAGES, scene.stamp_ns, FRAME_ID),
        height=h,
        width=w,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=matrix.ravel(),
        r=np.eye(3).ravel(),
        p=np.column_stack([matrix, np.zeros(3)]).ravel(),
    )


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

    def add(self, scene: Scene, depth: NDArray[np.float32] | None) -> None:
        """Add one image and all that is to be seen in it; with its exact depth [m] also where that is."""
        height, width = scene.image.shape[:2]
        image_id = len(self.content["images"]) + 1
        self.content["images"].append({"id": image_id, "stamp_ns": scene.stamp_ns, "height": height, "width": width})
        for thing in scene.objects:
            mask = mask_from_array(scene.mask(thing.track_id))
            counts = encode_rle(mask).tolist()
            place = {} if depth is None else _place_of(scene, thing.track_id, depth)
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
                        **place,
                    }
                )


def _place_of(scene: Scene, track_id: int, depth: NDArray[np.float32]) -> dict[str, list[float]]:
    """[m], in the camera's optical frame."""
    place = true_place(scene.mask(track_id), depth, scene.camera.focal_px)
    values = {"position": place.position_m, "box_center": place.box_center_m, "box_size": place.box_size_m}
    return {f"{name}_m": [round(value, 5) for value in row.tolist()] for name, row in values.items()}
