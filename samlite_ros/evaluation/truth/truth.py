"""What is really there: COCO instances per stamp, a bag of label images, or a bag of trusted answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlite_ros.bags.message_types import IMAGE, LABEL_INFO, SEGMENTATION, deserialize
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import ClassNames, FrameKey, ResultBag, to_label_info
from samlite_ros.errors import BagError, ImageDecodeError, StampError
from samlite_ros.evaluation.truth.coco import checked_coco, decode_segmentation
from samlite_ros.evaluation.truth.instances import TrueInstance
from samlite_ros.evaluation.truth.track_ids import number_tracks, written_id
from samlite_ros.foreign.json_file import read_json
from samlite_ros.foreign.limits import IMAGE_PIXELS, JSON_BYTES, TEXT_CHARACTERS
from samlite_ros.foreign.stamps import checked_ns, ns_of, read_stamp_ns
from samlite_ros.foreign.words import one_line, quoted
from samlite_ros.pixels.decode import decode_labels
from samlite_ros.pixels.masks import NOTHING, encode_rle, mask_from_array
from samlite_ros.queries import normalise_phrase

FARTHEST_M = 1e6
"""No true thing is farther, or larger [m]."""


@dataclass(frozen=True, eq=False)
class PlacedThing:
    """Where a thing is in the camera's optical frame [m]: the middle of its visible surface, and the box around it."""

    position_m: NDArray[np.float64]
    box_center_m: NDArray[np.float64]
    box_size_m: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Annotation:
    """One true thing, its mask still encoded: see `coco.decode_segmentation`. `where` it is written, for errors."""

    phrase: str
    segmentation: Any
    track_id: int = 0
    crowd: bool = False
    where: str = "truth"
    place: PlacedThing | None = None

    def decode(self, size: tuple[int, int]) -> TrueInstance:
        """The thing itself.

        Raises:
            BagError: Its region does not fit the image, or is written in no way that COCO knows.
        """
        try:
            return TrueInstance(decode_segmentation(self.segmentation, size), self.track_id, self.crowd)
        except (TypeError, ValueError) as error:
            raise BagError(f"{self.where}: {error}") from error


@dataclass(eq=False)
class AnnotatedFrame:
    """What is there in one image.

    Args:
        size: (H, W) [px].
        annotations: All things of all phrases.
    """

    size: tuple[int, int]
    annotations: list[_Annotation] = field(default_factory=list)

    def instances(self, phrase: str) -> list[TrueInstance]:
        """The things that a phrase names; empty = it is absent. Raises what `decode` raises."""
        return [a.decode(self.size) for a in self.annotations if a.phrase == phrase]

    def count(self, phrase: str) -> int:
        """How many things are to be found."""
        return sum(a.phrase == phrase and not a.crowd for a in self.annotations)


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth of a recording.

    Args:
        phrases: What it knows; a phrase that is among them and not in a frame is absent there.
        frames: By camera and stamp.
        regions_only: The things of a phrase are one region: label images do not tell neighbours apart.
    """

    phrases: frozenset[str]
    frames: Mapping[FrameKey, AnnotatedFrame]
    regions_only: bool = False

    @property
    def cameras(self) -> frozenset[str]:
        """Names of the cameras."""
        return frozenset(key.camera for key in self.frames)

    @property
    def has_tracks(self) -> bool:
        """Whether any thing keeps an id over frames."""
        return any(a.track_id for frame in self.frames.values() for a in frame.annotations)

    def camera_for(self, name: str) -> str:
        """The camera that a result calls by this name: where only one is known, its name does not matter."""
        known = self.cameras
        return next(iter(known)) if len(known) == 1 else name


def read_truth(path: Path | str) -> Truth:
    """Read truth.

    Args:
        path: A COCO instance file (.json), a folder of them, or a bag: with label images and LabelInfo, or with
            Segmentation messages.

    Raises:
        BagError: It is none of these, or holds no image.
    """
    path = Path(path)
    if not path.exists():
        raise BagError(f"truth {path}: no such file")
    files = [path] if path.suffix.lower() == ".json" else sorted(path.glob("*.json")) if _is_json_folder(path) else []
    truth = _read_coco_files(files) if files else _read_truth_bag(path)
    if not truth.frames:
        raise BagError(f"truth {path}: no image in it")
    return truth


def _is_json_folder(path: Path) -> bool:
    holds_bag = (path / "metadata.yaml").exists() or any(path.glob("*.mcap")) or any(path.glob("*.db3"))
    return path.is_dir() and not holds_bag


def _read_coco_files(files: Iterable[Path]) -> Truth:
    phrases: set[str] = set()
    frames: dict[FrameKey, AnnotatedFrame] = {}
    for path in files:
        try:
            _add_coco(checked_coco(read_json(path, JSON_BYTES)), path, phrases, frames)
        except KeyError as error:
            raise BagError(f"truth {path}: not COCO instances with stamps: {one_line(error)} is missing") from error
        except (ArithmeticError, AttributeError, IndexError, OSError, TypeError, ValueError) as error:
            raise BagError(f"truth {path}: not COCO instances with stamps: {one_line(error)}") from error
    return Truth(frozenset(phrases), frames)


def _add_coco(content: dict[str, Any], path: Path, phrases: set[str], frames: dict[FrameKey, AnnotatedFrame]) -> None:
    """Add what one file says; several of its images may be of one stamp, as where each is about one phrase."""
    for kind in ("categories", "images"):
        again = [number for number, count in Counter(item["id"] for item in content[kind]).items() if count > 1]
        if again:
            raise ValueError(f"the id {quoted(again[0])} stands for several {kind}")
    names = {c["id"]: _phrase(c["name"]) for c in content["categories"]}
    phrases.update(names.values())
    by_id = {}
    for image in content["images"]:
        key = FrameKey(str(image.get("camera") or ""), _image_stamp_ns(image, path.stem))
        size = _size(image)
        by_id[image["id"]] = frame = frames.setdefault(key, AnnotatedFrame(size))
        if frame.size != size:
            raise ValueError(f"two images of stamp {key.stamp_ns} ns, of sizes {frame.size} and {size}")
    tracks = number_tracks((a.get("image_id"), written_id(a)) for a in content["annotations"])
    for a in content["annotations"]:
        for field_name, known in (("category_id", names), ("image_id", by_id)):
            if a[field_name] not in known:
                wrong = quoted(a[field_name])
                raise ValueError(f"annotation {quoted(a.get('id'))} has the {field_name} {wrong}, which there is not")
        where = f"truth {path}, annotation {quoted(a.get('id'))}"
        track_id = tracks.get(written_id(a), 0)
        crowd = bool(int(a.get("iscrowd") or 0))
        annotation = _Annotation(names[a["category_id"]], a["segmentation"], track_id, crowd, where, _place(a))
        by_id[a["image_id"]].annotations.append(annotation)


def _place(annotation: dict[str, Any]) -> PlacedThing | None:
    """Where it says the thing is; None = it does not."""
    names = ("position_m", "box_center_m", "box_size_m")
    if any(name not in annotation for name in names):
        return None
    values = [np.array(annotation[name], np.float64) for name in names]
    if any(value.shape != (3,) or not np.isfinite(value).all() for value in values):
        raise ValueError(f"annotation {quoted(annotation.get('id'))}: {', '.join(names)} must be three numbers each")
    if any(np.abs(value).max() > FARTHEST_M for value in values) or (values[2] < 0).any():
        told = quoted([value.tolist() for value in values])
        raise ValueError(
            f"annotation {quoted(annotation.get('id'))}: {', '.join(names)} are {told}: sizes are 0 or more, and "
            f"nothing is farther than {FARTHEST_M:g} m"
        )
    return PlacedThing(*values)


def _phrase(name: Any) -> str:
    if not isinstance(name, str) or len(name) > TEXT_CHARACTERS:
        raise ValueError(f"the name of a category is {quoted(name)}, expected a text of up to {TEXT_CHARACTERS}")
    return normalise_phrase(name)


def _size(image: dict[str, Any]) -> tuple[int, int]:
    """(H, W) [px] of a COCO image."""
    height, width = int(image["height"]), int(image["width"])
    if height <= 0 or width <= 0 or height * width > IMAGE_PIXELS:
        size = f"{quoted(width)} x {quoted(height)}"
        raise ValueError(f"image {quoted(image.get('id'))} is of {size} pixels: 1 to {IMAGE_PIXELS:,} are read")
    return height, width


def _image_stamp_ns(image: dict[str, Any], stem: str) -> int:
    """Stamp of a COCO image: `stamp_ns`, or `stamp` {sec, nanosec}, or a file name that holds it.

    Names are '1700000000123456789.png', 'front_1700000000123456789.png', 'front_1700000000.123456789.png'.
    """
    what = f"stamp of image {quoted(image.get('id'))}"
    if isinstance(image.get("stamp_ns"), float):
        raise ValueError(f"{what}: a float such as {image['stamp_ns']} holds no stamp to the ns")
    if "stamp_ns" in image:
        return checked_ns(int(image["stamp_ns"]), what)
    if "stamp" in image:
        return ns_of(int(image["stamp"]["sec"]), int(image["stamp"].get("nanosec", 0)), what)
    for name in (PureWindowsPath(str(image.get("file_name") or "")).stem, stem):  # that reads both kinds of slashes
        if re.fullmatch(r"\d+", name):
            return checked_ns(int(name), what)
        if found := re.search(r"(?<!\d)(?:\d{1,8}\.|\d{9,10}[._-]|\d{10})\d{9}(?!\d)", name):
            return checked_ns(int(re.sub(r"\D", "", found[0])), what)
    raise ValueError(
        f"image {quoted(image.get('id'))} has neither stamp_ns nor stamp {{sec, nanosec}} nor a file name in ns"
    )


def _read_truth_bag(path: Path) -> Truth:
    with BagReader(path) as reader:
        types = {t.type_name for t in reader.topics.values()}
        label_topic = _label_topic(reader)
        if SEGMENTATION in types:
            truth = _read_answers(path)
        elif LABEL_INFO in types and label_topic:
            truth = _read_label_images(reader, label_topic)
        else:
            raise BagError(f"truth {path}: neither label images with LabelInfo nor Segmentation; {reader.listing}")
        if reader.faults:
            raise BagError(f"truth {path} is damaged: {'; '.join(reader.faults)}")
    return truth


def _label_topic(reader: BagReader) -> str:
    """The topic of label images: the one named so, or the only image topic; '' = none."""
    images = [t.name for t in reader.topics.values() if t.type_name == IMAGE]
    candidates = [name for name in images if name.endswith("label_image")] or images
    return candidates[0] if len(candidates) == 1 else ""


def _read_label_images(reader: BagReader, topic: str) -> Truth:
    names = ClassNames()
    phrases: set[str] = set()
    for message in reader.messages([t.name for t in reader.topics.values() if t.type_name == LABEL_INFO]):
        info = to_label_info(deserialize(message.data, LABEL_INFO, message.definition))
        names.add(info)
        phrases.update(info.names.values())
    frames = {}
    for message in reader.messages([topic]):
        content = deserialize(message.data, IMAGE, message.definition)
        try:
            stamp = read_stamp_ns(content.header.stamp)
            frames[FrameKey("", stamp)] = _frame_of_labels(_label_pixels(content), names.at(stamp))
        except (ImageDecodeError, StampError) as error:
            raise BagError(f"truth {reader.path}: {topic}: {error}") from error
    return Truth(frozenset(phrases), frames, regions_only=True)


def _label_pixels(image: Any) -> NDArray[np.uint8]:
    """uint8 (H, W): class ids of a label image.

    Raises:
        BagError: It is not 8 bits a pixel.
        ImageDecodeError: It is impossible.
    """
    if image.encoding not in ("mono8", "8UC1"):
        raise BagError(f"truth: a label image is {quoted(image.encoding)}, expected mono8")
    return decode_labels(image.data, image.height, image.width, image.step)


def _frame_of_labels(labels: NDArray[np.uint8], names: Mapping[int, str]) -> AnnotatedFrame:
    frame = AnnotatedFrame((labels.shape[0], labels.shape[1]))
    for class_id in np.unique(labels):
        if class_id != NOTHING and int(class_id) in names:
            counts = encode_rle(mask_from_array(labels == class_id))
            frame.annotations.append(_Annotation(names[int(class_id)], counts))
    return frame


def _read_answers(path: Path) -> Truth:
    """Answers that are trusted: of a larger model, or a result that is known to be good."""
    phrases: set[str] = set()
    frames = {}
    with ResultBag(path) as bag:
        for answer, _ in bag.answers():
            frame = AnnotatedFrame(answer.size)
            phrases.update(r.query.prompt.display for r in answer.results)
            for instance in answer.instances:
                counts = encode_rle(instance.mask)
                for phrase in dict.fromkeys(m.query.prompt.display for m in instance.matches):
                    frame.annotations.append(_Annotation(phrase, counts, instance.track_id))
            frames[FrameKey(answer.camera, answer.stamp_ns)] = frame
        if bag.reader.faults:
            raise BagError(f"truth {path} is damaged: {'; '.join(bag.reader.faults)}")
    return Truth(frozenset(phrases), frames)
