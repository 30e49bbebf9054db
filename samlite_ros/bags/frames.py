"""The camera frames of a bag, every one once, in the order of their stamps."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from samlite_ros.bags.index import BagIndex, frame_stamp_ns
from samlite_ros.bags.message_types import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, deserialize
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.storage import RawMessage
from samlite_ros.errors import BagError, ImageDecodeError, StampError
from samlite_ros.foreign.limits import IMAGE_PIXELS
from samlite_ros.messages.read import read_companion, read_frame
from samlite_ros.pixels.decode import is_depth
from samlite_ros.streaming.companions import Companions
from samlite_ros.types import CameraCalibration, DepthImage, Frame

IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)
COMPANION_TYPES = (IMAGE, COMPRESSED_IMAGE, CAMERA_INFO)
COMPANION_WAIT_NS = 150_000_000
"""A frame waits for its depth image until the frames are so much newer [ns], as in the node."""
MAX_HELD_BYTES = 1 << 30
"""Messages may wait for one with an older stamp up to this size; a bag that needs more is not one recording."""


def image_topics(reader: BagReader) -> list[str]:
    """Names of the topics that hold images."""
    return sorted(t.name for t in reader.topics.values() if t.type_name in IMAGE_TYPES)


def choose_image_topics(reader: BagReader, wanted: Sequence[str]) -> dict[str, str]:
    """Find the image topics to read.

    Args:
        reader: The bag.
        wanted: 'TOPIC' for one camera, 'NAME=TOPIC' for each of several; empty = the only topic of images but depth.

    Returns:
        Camera name by topic; '' where one camera has no name.

    Raises:
        BagError: A topic is not there, holds something else or nothing; several topics lack names; none was named and
            there is not exactly one.
    """
    if not wanted:
        wanted = [_only_picture_topic(reader)]
    cameras: dict[str, str] = {}
    for item in wanted:
        name, _, topic = item.rpartition("=")
        if not name and len(wanted) > 1:
            raise BagError(f"several image topics need names, NAME=TOPIC, got {item!r}")
        check_image_topic(reader, topic)
        cameras[topic] = name
    if len(set(cameras.values())) != len(wanted):
        raise BagError(f"image topics and their names must differ: {', '.join(wanted)}")
    return cameras


def _only_picture_topic(reader: BagReader) -> str:
    found = image_topics(reader)
    if not found:
        raise BagError(f"{reader.path}: no topic of images; {reader.listing}")
    if len(found) == 1:
        return found[0]
    depth = _depth_topics(reader, found)
    pictures = [topic for topic in found if topic not in depth]
    if len(pictures) == 1:
        return pictures[0]
    aside = f"; depth is on {', '.join(sorted(depth))}" if depth else ""
    named = pictures or found
    raise BagError(f"{reader.path}: {len(named)} topics of images: name one or more; {reader.list_of(named)}{aside}")


def _depth_topics(reader: BagReader, topics: Sequence[str]) -> set[str]:
    """Those whose first message is depth, which holds no picture."""
    waiting = {topic for topic in topics if reader.topics[topic].message_count}
    depth = set()
    for message in reader.messages(tuple(waiting)) if waiting else ():
        if message.topic in waiting:
            waiting.remove(message.topic)
            if _is_depth(message):
                depth.add(message.topic)
        if not waiting:
            break
    return depth


def _is_depth(message: RawMessage) -> bool:
    try:
        content = deserialize(message.data, message.type_name, message.definition)
    except BagError:
        return False
    return is_depth(content.encoding if hasattr(content, "encoding") else content.format)


def check_image_topic(reader: BagReader, name: str) -> None:
    """Raise `BagError` where a topic is not there, or holds something else than images, or nothing."""
    topic = reader.topics.get(name)
    if topic is None:
        raise BagError(f"{reader.path}: no topic {name}; {reader.listing}")
    if topic.type_name not in IMAGE_TYPES:
        raise BagError(
            f"{reader.path}: topic {name} is {topic.type_name}, expected {' or '.join(IMAGE_TYPES)}; {reader.listing}"
        )
    if not topic.message_count:
        raise BagError(f"{reader.path}: topic {name} holds no message; {reader.listing}")


def messages_in_order(reader: BagReader, index: BagIndex, others: Collection[str] = ()) -> Iterator[RawMessage]:
    """The indexed messages in stamp order; holds back only those that came too early.

    Args:
        reader: The bag.
        index: See `index_bag`.
        others: Topics whose messages are handed out too, as they come.

    Raises:
        BagError: More than `MAX_HELD_BYTES` would have to be held.
    """
    rank = {entry.place: number for number, entry in enumerate(index.entries)}
    topics = {entry.topic for entry in index.entries}
    held: dict[int, RawMessage] = {}
    due = held_bytes = 0
    places = itertools.count()
    for message in reader.messages(topics.union(others)):
        if message.topic not in topics:
            yield message
            continue
        place = next(places)
        if place not in rank:
            continue
        held[rank[place]] = message
        held_bytes += len(message.data)
        while due in held:
            ready = held.pop(due)
            held_bytes -= len(ready.data)
            due += 1
            yield ready
        if held_bytes > MAX_HELD_BYTES:
            raise BagError(f"{reader.path}: {len(held)} images wait for one with an older stamp, which is too many")


class DecodedFrame(NamedTuple):
    """One image message: its frame, or in words why there is none."""

    message: RawMessage
    frame: Frame | None
    damage: str = ""


def decode_frame(message: RawMessage, camera: str, max_pixels: int = IMAGE_PIXELS) -> DecodedFrame:
    """Decode one image message; larger images are none."""
    try:
        return DecodedFrame(message, _to_frame(message, camera, max_pixels))
    except (BagError, ImageDecodeError, StampError) as error:
        return DecodedFrame(message, None, str(error))


def _to_frame(message: RawMessage, camera: str, max_pixels: int) -> Frame:
    content = deserialize(message.data, message.type_name, message.definition)
    stamp_ns = frame_stamp_ns(message) or message.log_time_ns
    return read_frame(content, stamp_ns, camera, max_pixels=max_pixels)


def read_frames(
    reader: BagReader,
    index: BagIndex,
    cameras: Mapping[str, str],
    companions: Mapping[str, Companions] | None = None,
    max_pixels: int = IMAGE_PIXELS,
) -> Iterator[DecodedFrame]:
    """Decoded frames in stamp order; a damaged one comes without its frame and is noted as a fault.

    Args:
        reader: The bag.
        index: See `index_bag`.
        cameras: Camera name by topic.
        companions: See `bag_companions`; None = frames travel alone. What was recorded soon after its frame counts.
        max_pixels: Larger images are damaged.
    """
    waiting: deque[DecodedFrame] = deque()
    newest_ns = 0
    found = companions or {}
    for message in messages_in_order(reader, index, found.keys() - cameras.keys()):
        if message.topic not in cameras:
            found[message.topic].put(message)
            yield from _complete(waiting, found, newest_ns)
            continue
        decoded = decode_frame(message, cameras[message.topic], max_pixels)
        if decoded.frame is None:
            at = frame_stamp_ns(message)
            reader.add_fault(f"{reader.path}: {message.topic}, stamp {at} ns: {decoded.damage}")
        elif message.topic in found:
            decoded = decoded._replace(frame=found[message.topic].attach(decoded.frame))
        newest_ns = max(newest_ns, decoded.frame.stamp_ns if decoded.frame else 0)
        waiting.append(decoded)
        yield from _complete(waiting, found, newest_ns)
    yield from waiting


def _complete(
    waiting: deque[DecodedFrame], companions: Mapping[str, Companions], newest_ns: int
) -> Iterator[DecodedFrame]:
    """Those that wait for nothing any more, in order."""
    while waiting:
        decoded = waiting[0]
        found = companions.get(decoded.message.topic)
        if decoded.frame is not None and found is not None:
            frame = found.complete(decoded.frame)
            waiting[0] = decoded = decoded._replace(frame=frame)
            is_late = newest_ns - frame.stamp_ns > COMPANION_WAIT_NS or found.has_passed(frame)
            if not is_late and (frame.depth is None or frame.calibration is None):
                return
        yield waiting.popleft()


def bag_companions(reader: BagReader, cameras: Mapping[str, str], topics: Mapping[str, str]) -> dict[str, Companions]:
    """What finds the companions of each camera's frames: as in the node.

    Args:
        reader: The bag.
        cameras: Camera name by image topic.
        topics: Camera name by topic of depth images or calibrations.

    Returns:
        By topic, image topics included.

    Raises:
        BagError: A topic is not there or holds something else; no camera has this name.
    """
    for topic, camera in topics.items():
        if topic not in reader.topics or reader.topics[topic].type_name not in COMPANION_TYPES:
            raise BagError(f"{reader.path}: no {' or '.join(COMPANION_TYPES)} on {topic}; {reader.listing}")
        if camera not in cameras.values():
            raise BagError(f"{topic} belongs to camera {camera!r}, which is none of {', '.join(cameras.values())!r}")
    found = {camera: Companions(_read_companion) for camera in topics.values()}
    return {topic: found[camera] for topic, camera in {**cameras, **topics}.items() if camera in found}


def _read_companion(message: RawMessage) -> DepthImage | CameraCalibration:
    return read_companion(deserialize(message.data, message.type_name, message.definition))
