"""Which value goes into which field of our messages, for the classes of rclpy and for those of `rosbags` alike.

Whoever fills messages hands in a `MessageFactory` for the classes at hand: `RCLPY` here, or that of the bags.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.foreign.stamps import NS_PER_S
from samlite_ros.pixels.masks import encode_rle
from samlite_ros.queries import LastPlace, QueryStatus
from samlite_ros.types import NO_STAMP, Instance, QueryMatch, QueryResult, Segmentation, Vocabulary


class MessageFactory(Protocol):
    """Makes messages of one library."""

    def new(self, type_name: str, **fields: Any) -> Any:
        """A message.

        Args:
            type_name: E.g. 'samlite_ros/msg/Segmentation'.
            fields: Its fields, no numpy scalars; those left out are zero or empty.
        """
        ...

    def array(self, values: NDArray[Any]) -> Any:
        """Values of a field that is an unbounded array of numbers (uint8[], uint32[] ...)."""
        ...


@cache
def message_class(type_name: str) -> Any:
    """The class of rclpy's for a type, e.g. 'sensor_msgs/msg/Image'; raises what the import raises."""
    package, _, name = type_name.rpartition("/")
    return getattr(importlib.import_module(package.replace("/", ".")), name)


class RclpyFactory:
    """The classes of rclpy; they are imported when the first message of a type is made."""

    def new(self, type_name: str, **fields: Any) -> Any:
        """A message; see `MessageFactory`."""
        numbers = [(name, value) for name, value in fields.items() if type(value) is memoryview]
        for name, _ in numbers:
            del fields[name]
        message = message_class(type_name)(**fields)
        for name, values in numbers:
            getattr(message, name).frombytes(values)
        return message

    def array(self, values: NDArray[Any]) -> Any:
        """The values' bytes: they go straight into the message's own array, for a constructor copies twice."""
        return np.ascontiguousarray(values).view(np.uint8).data


RCLPY = RclpyFactory()
"""Serves every node; numpy scalars never reach a field."""


def time_message(make: MessageFactory, stamp_ns: int) -> Any:
    """builtin_interfaces/Time."""
    sec, nanosec = divmod(int(stamp_ns), NS_PER_S)
    return make.new("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)


def header_message(make: MessageFactory, stamp_ns: int, frame_id: str) -> Any:
    """std_msgs/Header."""
    return make.new("std_msgs/msg/Header", stamp=time_message(make, stamp_ns), frame_id=frame_id)


def segmentation_message(make: MessageFactory, answer: Segmentation) -> Any:
    """samlite_ros/Segmentation."""
    return make.new(
        "samlite_ros/msg/Segmentation",
        header=header_message(make, answer.stamp_ns, answer.frame_id),
        camera=answer.camera,
        model_id=answer.model_id,
        vocabulary_epoch=int(answer.vocabulary_epoch),
        keyframe_stamp=time_message(make, answer.keyframe_stamp_ns),
        height=int(answer.size[0]),
        width=int(answer.size[1]),
        results=[query_result_message(make, r) for r in answer.results],
        instances=[instance_message(make, i) for i in answer.instances],
    )


def query_result_message(make: MessageFactory, result: QueryResult) -> Any:
    """samlite_ros/QueryResult."""
    return make.new(
        "samlite_ros/msg/QueryResult",
        client=result.query.key.client,
        query_id=result.query.key.id,
        class_id=int(result.query.class_id),
        keyframe_stamp=time_message(make, result.keyframe_stamp_ns),
        presence=float(result.presence),
        count=int(result.count),
    )


def instance_message(make: MessageFactory, instance: Instance) -> Any:
    """samlite_ros/InstanceMask."""
    return make.new(
        "samlite_ros/msg/InstanceMask",
        track_id=int(instance.track_id),
        matches=[match_message(make, m) for m in instance.matches],
        confidence=float(instance.confidence),
        propagated=bool(instance.propagated),
        keyframe_stamp=time_message(make, instance.keyframe_stamp_ns),
        box=box_message(make, instance.box_xyxy),
        height=int(instance.mask.size[0]),
        width=int(instance.mask.size[1]),
        counts=make.array(encode_rle(instance.mask)),
    )


def match_message(make: MessageFactory, match: QueryMatch) -> Any:
    """samlite_ros/QueryMatch."""
    return make.new(
        "samlite_ros/msg/QueryMatch",
        client=match.query.key.client,
        query_id=match.query.key.id,
        text=match.query.text or match.query.prompt.display,
        class_id=int(match.query.class_id),
        score=float(match.score),
    )


def box_message(make: MessageFactory, box_xyxy: tuple[float, float, float, float]) -> Any:
    """vision_msgs/BoundingBox2D [px]."""
    x0, y0, x1, y1 = (float(v) for v in box_xyxy)
    position = make.new("vision_msgs/msg/Point2D", x=(x0 + x1) / 2, y=(y0 + y1) / 2)
    center = make.new("vision_msgs/msg/Pose2D", position=position, theta=0.0)
    return make.new("vision_msgs/msg/BoundingBox2D", center=center, size_x=x1 - x0, size_y=y1 - y0)


def label_info_message(make: MessageFactory, vocabulary: Vocabulary, stamp_ns: int, frame_id: str = "") -> Any:
    """vision_msgs/LabelInfo: the phrase of each class id, in their order.

    Args:
        make: For which classes.
        vocabulary: The queries of the epoch.
        stamp_ns: Stamp of the epoch's first frame [ns].
        frame_id: Of that frame.
    """
    names = {q.class_id: q.prompt.display for q in vocabulary.queries}
    return make.new(
        "vision_msgs/msg/LabelInfo",
        header=header_message(make, stamp_ns, frame_id),
        class_map=[_class_message(make, class_id, names[class_id]) for class_id in sorted(names)],
        threshold=0.0,
    )


def _class_message(make: MessageFactory, class_id: int, class_name: str) -> Any:
    return make.new("vision_msgs/msg/VisionClass", class_id=int(class_id), class_name=class_name)


def detections_message(make: MessageFactory, answer: Segmentation) -> Any:
    """vision_msgs/Detection2DArray: one detection per instance, one hypothesis per match."""
    header = header_message(make, answer.stamp_ns, answer.frame_id)
    return make.new(
        "vision_msgs/msg/Detection2DArray",
        header=header,
        detections=[_detection_message(make, header, i) for i in answer.instances],
    )


def _detection_message(make: MessageFactory, header: Any, instance: Instance) -> Any:
    return make.new(
        "vision_msgs/msg/Detection2D",
        header=header,
        results=[hypothesis_message(make, m, _no_pose(make)) for m in instance.matches],
        bbox=box_message(make, instance.box_xyxy),
        id=str(instance.track_id) if instance.track_id else "",
    )


def hypothesis_message(make: MessageFactory, match: QueryMatch, pose: Any) -> Any:
    """vision_msgs/ObjectHypothesisWithPose; `pose` is a geometry_msgs/PoseWithCovariance."""
    hypothesis = make.new(
        "vision_msgs/msg/ObjectHypothesis", class_id=match.query.prompt.display, score=float(match.score)
    )
    return make.new("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=pose)


def _no_pose(make: MessageFactory) -> Any:
    """geometry_msgs/PoseWithCovariance: the identity, for what has no place in space."""
    pose = make.new(
        "geometry_msgs/msg/Pose",
        position=make.new("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0),
        orientation=make.new("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )
    return make.new("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36))


def query_status_message(make: MessageFactory, status: QueryStatus) -> Any:
    """samlite_ros/QueryStatus."""
    return make.new(
        "samlite_ros/msg/QueryStatus",
        client=status.key.client,
        id=status.key.id,
        request_stamp=time_message(make, status.request_stamp_ns),
        text=status.text,
        state=int(status.state),
        outcome=int(status.outcome),
        reason=int(status.reason),
        message=status.message,
        class_id=int(status.class_id),
        presence=float(status.presence),
        last_searched=time_message(make, status.last_searched_ns),
        last_seen=time_message(make, status.last_seen_ns),
        last_seen_camera=status.last_seen_camera,
        expires=time_message(make, status.expires_ns),
        last_place=_last_place_message(make, status.last_place),
        last_place_sigma=status.last_place.sigma_m if status.last_place else 0.0,
        search_rate=float(status.search_rate_hz),
        wait_passes=int(status.wait_passes),
        wait=float(status.wait_s),
    )


def _last_place_message(make: MessageFactory, place: LastPlace | None) -> Any:
    """geometry_msgs/PointStamped; stamp 0 = never."""
    x, y, z = place.position_m if place else (0.0, 0.0, 0.0)
    header = header_message(make, place.stamp_ns if place else NO_STAMP, place.frame_id if place else "")
    point = make.new("geometry_msgs/msg/Point", x=x, y=y, z=z)
    return make.new("geometry_msgs/msg/PointStamped", header=header, point=point)


def query_status_array_message(make: MessageFactory, statuses: Sequence[QueryStatus], epoch: int, now_ns: int) -> Any:
    """samlite_ros/QueryStatusArray."""
    return make.new(
        "samlite_ros/msg/QueryStatusArray",
        header=header_message(make, now_ns, ""),
        vocabulary_epoch=int(epoch),
        queries=[query_status_message(make, status) for status in statuses],
    )


def image_message(make: MessageFactory, image: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> Any:
    """sensor_msgs/Image of one's own pixels.

    Args:
        make: For which classes.
        image: (H, W) or (H, W, C), uint8 or uint16, contiguous; little-endian.
        encoding: What the pixels are: 'rgb8', 'mono8', 'mono16'.
        stamp_ns, frame_id: Those of the camera image.
    """
    return make.new(
        "sensor_msgs/msg/Image",
        header=header_message(make, stamp_ns, frame_id),
        height=image.shape[0],
        width=image.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=image.strides[0],
        data=make.array(np.ascontiguousarray(image).reshape(-1).view(np.uint8)),
    )


def compressed_image_message(
    make: MessageFactory, rgb: NDArray[np.uint8], quality: int, stamp_ns: int, frame_id: str
) -> Any:
    """sensor_msgs/CompressedImage: a JPEG of an RGB image (H, W, 3); quality 1 to 100."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    header = header_message(make, stamp_ns, frame_id)
    return make.new("sensor_msgs/msg/CompressedImage", header=header, format="jpeg", data=make.array(data))


def stamp_ns(time: Any) -> int:
    """Stamp [ns] of a builtin_interfaces/Time message."""
    return int(time.sec) * NS_PER_S + int(time.nanosec)
