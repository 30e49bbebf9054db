"""Where a replay's answers go: the topics of the node, in a bag, and an overlay video for each camera."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bags.message_types import BAG_MESSAGES
from samlite_ros.bags.storage import RawMessage
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import BagError
from samlite_ros.messages.fill import query_status_array_message
from samlite_ros.messages.outputs import CAMERA_OUTPUTS, QUERY_STATUS, AnsweredFrame, Kind, Output
from samlite_ros.messages.topics import Topic
from samlite_ros.pixels.overlay import draw_overlay
from samlite_ros.virtual.loop import PublishedAnswer
from samlite_ros.virtual.node import PublishedStatus

NODE_NAME = "/samlite"


@dataclass(frozen=True)
class ResultOptions:
    """What to write.

    Args:
        storage: 'mcap' or 'sqlite3'.
        compressed: zstd.
        label_images: Label, confidence and instance images too.
        images: The original image messages too.
        video: An overlay video per camera too.
        video_rate_hz: Frames per second of the video [Hz].
        timeline: A picture of the timeline too.
    """

    storage: str = "mcap"
    compressed: bool = False
    label_images: bool = False
    images: bool = False
    video: bool = False
    video_rate_hz: float = 30.0
    timeline: bool = True


class ResultWriter:
    """Writes what the node would publish, under the node's names. A context manager; used from one thread.

    Args:
        folder: Where the bag goes.
        cameras: Their names.
        image_topics: Type of each image topic, for the original images.
        located: Cameras whose frames come with depth.
        options: What to write.

    Raises:
        BagError: The folder holds a bag already.
    """

    def __init__(
        self,
        folder: Path,
        cameras: Sequence[str],
        image_topics: dict[str, str],
        options: ResultOptions,
        located: Collection[str] = (),
    ) -> None:
        self.folder, self.options = folder, options
        self._bag = BagWriter(folder, options.storage, options.compressed)
        self._told_labels: dict[str, tuple[int, frozenset[int]]] = {}
        self._videos: dict[str, Video] = {}
        kinds = (Kind.RESULT, Kind.LABELS) if options.label_images else (Kind.RESULT,)
        self._written = [output for output in CAMERA_OUTPUTS if output.kind in kinds]
        self._add_topic(QUERY_STATUS)
        for camera in cameras:
            for output in self._written:
                if camera in located or not output.spatial:
                    self._add_topic(output, camera)
        for topic, type_name in image_topics.items() if options.images else ():
            self._bag.add_topic(topic, type_name)

    def write(self, item: PublishedAnswer | PublishedStatus | RawMessage) -> None:
        """Write the next thing: an answer, the queries' state, or an original image."""
        if isinstance(item, PublishedAnswer):
            self._write_answer(item)
        elif isinstance(item, PublishedStatus):
            message = query_status_array_message(BAG_MESSAGES, item.statuses, item.epoch, item.at_ns)
            self._bag.write(QUERY_STATUS.of(node=NODE_NAME), item.at_ns, message)
        elif self.options.images:
            self._bag.write_raw(item.topic, item.log_time_ns, item.data)

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for video in self._videos.values():
            video.close()
        self._bag.close()

    def _add_topic(self, topic: Topic, camera: str = "") -> None:
        self._bag.add_topic(topic.of(camera, NODE_NAME), topic.type_name, latched=topic.qos.latched)

    def _write_answer(self, item: PublishedAnswer) -> None:
        camera, answered = item.answer.camera, AnsweredFrame(item.answer, item.frame, located=item.located)
        if self._told_labels.get(camera) != answered.labels:
            self._told_labels[camera] = answered.labels
            self._write_outputs(answered, [o for o in self._written if o.per_epoch], item.at_ns)
        now = [o for o in self._written if not o.per_epoch and (item.located or not o.spatial)]
        self._write_outputs(answered, now, item.at_ns)
        if self.options.video:
            self._write_video(item)

    def _write_outputs(self, answered: AnsweredFrame, outputs: Sequence[Output], at_ns: int) -> None:
        for output in outputs:
            topic = output.of(answered.answer.camera, NODE_NAME)
            self._bag.write(topic, at_ns, output.fill(BAG_MESSAGES, answered))

    def _write_video(self, item: PublishedAnswer) -> None:
        camera = item.answer.camera
        if camera not in self._videos:
            name = f"overlay_{camera}.mp4" if camera else "overlay.mp4"
            self._videos[camera] = Video(self.folder / name, item.answer.size, self.options.video_rate_hz)
        self._videos[camera].write(draw_overlay(item.frame.image, item.answer))


class Video:
    """An MP4 file.

    Args:
        path: Where to.
        size: (H, W) of every picture [px].
        rate_hz: Frames per second [Hz].

    Raises:
        BagError: OpenCV cannot write such a file here.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate_hz: float) -> None:
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        self._size = size
        self._writer = cv2.VideoWriter(str(path), codec, rate_hz, (size[1], size[0]))
        if not self._writer.isOpened():
            raise BagError(f"OpenCV cannot write the video {path}")

    def write(self, rgb: NDArray[np.uint8]) -> None:
        """Add a picture, uint8 (H, W, 3); one of another size is scaled."""
        if rgb.shape[:2] != self._size:
            rgb = np.asarray(cv2.resize(rgb, (self._size[1], self._size[0])), np.uint8)
        self._writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()
