"""The one table of what the node publishes, used by the node, by replay and by docs/topics.md.

A new output is a row of `CAMERA_OUTPUTS`, and a function that fills its message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlite_ros.messages.fill import (
    MessageFactory,
    compressed_image_message,
    detections_message,
    image_message,
    label_info_message,
    segmentation_message,
)
from samlite_ros.messages.fill_places import (
    detections_3d_message,
    markers_message,
    places_message,
    points_message,
)
from samlite_ros.messages.topics import BOND, INPUTS, Qos, Topic, render_rows
from samlite_ros.pixels.masks import LabelImages, label_images
from samlite_ros.pixels.overlay import draw_legend, draw_overlay
from samlite_ros.space.locator import Located
from samlite_ros.types import Frame, Segmentation, Vocabulary


class AnsweredFrame:
    """An answer and all that is drawn from it, at most once and only where it is asked for.

    Args:
        answer: The answer.
        frame: The frame that it answers.
        jpeg_quality: Of compressed pictures, 1 to 100.
        located: Where its things are; None = not known.
    """

    def __init__(
        self, answer: Segmentation, frame: Frame, jpeg_quality: int = 80, located: Located | None = None
    ) -> None:
        self.answer, self.frame, self.jpeg_quality, self.located = answer, frame, jpeg_quality, located

    @property
    def vocabulary(self) -> Vocabulary:
        """The queries that were asked of this frame."""
        return Vocabulary(self.answer.vocabulary_epoch, tuple(result.query for result in self.answer.results))

    @property
    def labels(self) -> tuple[int, frozenset[int]]:
        """Epoch and class ids: a query has its id as soon as it is accepted, and is answered later in that epoch."""
        return self.answer.vocabulary_epoch, frozenset(result.query.class_id for result in self.answer.results)

    @cached_property
    def rasters(self) -> LabelImages:
        """Label, confidence and instance image."""
        return label_images(self.answer.instances, self.answer.size)

    @cached_property
    def overlay(self) -> NDArray[np.uint8]:
        """uint8 (H, W, 3), RGB: the frame with the answer drawn in, and what became of each query."""
        picture = draw_overlay(self.frame.image, self.answer)
        draw_legend(picture, self.answer.results)
        return picture


class Kind(Enum):
    """What an output is, which decides when it is made."""

    RESULT = "a message for programs; a replay always writes it"
    LABELS = "an image for programs; a replay writes it on demand"
    PICTURE = "an image for people; a replay draws a video instead"


Fill = Callable[[MessageFactory, AnsweredFrame], Any]


@dataclass(frozen=True, kw_only=True)
class Output(Topic):
    """A topic on which each answer goes out.

    Args:
        kind: See `Kind`.
        fill: Makes the message.
        per_epoch: Published before the first answer with other labels, whoever listens; else with every answer, while
            somebody subscribes.
        spatial: Made of places: only where they are known, and not before.
    """

    kind: Kind
    fill: Fill
    per_epoch: bool = False
    spatial: bool = False


def _image(pixels: Callable[[AnsweredFrame], NDArray[Any]], encoding: str) -> Fill:
    def fill(make: MessageFactory, answered: AnsweredFrame) -> Any:
        answer = answered.answer
        return image_message(make, pixels(answered), encoding, answer.stamp_ns, answer.frame_id)

    return fill


def _label_info(make: MessageFactory, answered: AnsweredFrame) -> Any:
    answer = answered.answer
    return label_info_message(make, answered.vocabulary, answer.stamp_ns, answer.frame_id)


def _jpeg(make: MessageFactory, answered: AnsweredFrame) -> Any:
    answer = answered.answer
    return compressed_image_message(make, answered.overlay, answered.jpeg_quality, answer.stamp_ns, answer.frame_id)


def _of_places(fill: Callable[[MessageFactory, Located], Any]) -> Fill:
    def fill_located(make: MessageFactory, answered: AnsweredFrame) -> Any:
        if answered.located is None:
            raise ValueError(f"the places in the frame of stamp {answered.answer.stamp_ns} ns are not known")
        return fill(make, answered.located)

    return fill_located


_RESULT = Qos(5)
_PICTURE = Qos(1, overridable=True)  # RViz asks for reliable; best-effort readers match too
_LATCHED = Qos(1, latched=True)

CAMERA_OUTPUTS = (
    Output(
        name="~/segmentation",
        type_name="samlite_ros/msg/Segmentation",
        qos=_RESULT,
        meaning="the answer for one frame: masks, tracks, results",
        kind=Kind.RESULT,
        fill=lambda make, answered: segmentation_message(make, answered.answer),
    ),
    Output(
        name="~/detections",
        type_name="vision_msgs/msg/Detection2DArray",
        qos=_RESULT,
        meaning="class_id is the phrase, id the track",
        kind=Kind.RESULT,
        fill=lambda make, answered: detections_message(make, answered.answer),
    ),
    Output(
        name="~/label_info",
        type_name="vision_msgs/msg/LabelInfo",
        qos=_LATCHED,
        meaning="the phrase of each class id; latched, published before the first pixel of its epoch",
        kind=Kind.RESULT,
        fill=_label_info,
        per_epoch=True,
    ),
    Output(
        name="~/label_image",
        type_name="sensor_msgs/msg/Image",
        qos=_PICTURE,
        meaning="mono8: class id of each pixel, 255 = nothing",
        kind=Kind.LABELS,
        fill=_image(lambda answered: answered.rasters.label, "mono8"),
    ),
    Output(
        name="~/confidence",
        type_name="sensor_msgs/msg/Image",
        qos=_PICTURE,
        meaning="mono8: of each pixel, 0 to 255",
        kind=Kind.LABELS,
        fill=_image(lambda answered: answered.rasters.confidence, "mono8"),
    ),
    Output(
        name="~/instance_image",
        type_name="sensor_msgs/msg/Image",
        qos=_PICTURE,
        meaning="mono16: 1-based index into `instances` of the same stamp, 0 = nothing",
        kind=Kind.LABELS,
        fill=_image(lambda answered: answered.rasters.instance, "mono16"),
    ),
    Output(
        name="~/overlay",
        type_name="sensor_msgs/msg/Image",
        qos=_PICTURE,
        meaning="for people; drawn only while somebody looks",
        kind=Kind.PICTURE,
        fill=_image(lambda answered: answered.overlay, "rgb8"),
    ),
    Output(
        name="~/overlay/compressed",
        type_name="sensor_msgs/msg/CompressedImage",
        qos=_PICTURE,
        meaning="the same as JPEG",
        kind=Kind.PICTURE,
        fill=_jpeg,
    ),
    Output(
        name="~/places",
        type_name="samlite_ros/msg/PlaceArray",
        qos=_RESULT,
        meaning="where things are [m], smoothed and as measured, and how sure that is; needs a depth image",
        kind=Kind.RESULT,
        fill=_of_places(places_message),
        spatial=True,
    ),
    Output(
        name="~/detections_3d",
        type_name="vision_msgs/msg/Detection3DArray",
        qos=_RESULT,
        meaning="the same for others: class_id is the phrase, id the track, with covariance and box",
        kind=Kind.RESULT,
        fill=_of_places(detections_3d_message),
        spatial=True,
    ),
    Output(
        name="~/markers",
        type_name="visualization_msgs/msg/MarkerArray",
        qos=_PICTURE,
        meaning="the same for RViz and Foxglove: boxes and names",
        kind=Kind.PICTURE,
        fill=_of_places(markers_message),
        spatial=True,
    ),
    Output(
        name="~/points",
        type_name="sensor_msgs/msg/PointCloud2",
        qos=_PICTURE,
        meaning="points of the things alone, thinned: x, y, z, class_id, instance (1-based, as in `~/instance_image`)",
        kind=Kind.LABELS,
        fill=_of_places(points_message),
        spatial=True,
    ),
)
QUERY_STATUS = Topic(
    name="~/query_status",
    type_name="samlite_ros/msg/QueryStatusArray",
    qos=_LATCHED,
    meaning="what became of each query; latched",
)
DIAGNOSTICS = Topic(
    name="/diagnostics",
    type_name="diagnostic_msgs/msg/DiagnosticArray",
    qos=Qos(10),
    meaning="rates, drops, ages, counters of each reuse, QoS mismatches",
)


def render_markdown() -> str:
    """The table of topics of docs/topics.md."""
    return (
        "| direction | topic | type | meaning |\n|---|---|---|---|\n"
        + render_rows("in", INPUTS)
        + render_rows("out", (*CAMERA_OUTPUTS, QUERY_STATUS, DIAGNOSTICS))
        + render_rows("both", (BOND,))
    )
