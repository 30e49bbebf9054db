"""Between ROS messages and the package's own values; numpy scalars never reach a field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
    VisionClass,
)

from samlite_ros.errors import ImageDecodeError
from samlite_ros.messages.fill import header_message, stamp_ns
from samlite_ros.msg import (
    InstanceMask,
    QueryMatch,
    QueryResult,
    QueryStatus,
    QueryStatusArray,
    Segmentation,
)
from samlite_ros.pixels.decode import ENCODINGS, decode_compressed_image, decode_image
from samlite_ros.types import NO_STAMP, Frame

_TYPES: dict[str, Callable[..., Any]] = {
    "builtin_interfaces/msg/Time": Time,
    "geometry_msgs/msg/Point": Point,
    "geometry_msgs/msg/Pose": Pose,
    "geometry_msgs/msg/PoseWithCovariance": PoseWithCovariance,
    "geometry_msgs/msg/Quaternion": Quaternion,
    "samlite_ros/msg/InstanceMask": InstanceMask,
    "samlite_ros/msg/QueryMatch": QueryMatch,
    "samlite_ros/msg/QueryResult": QueryResult,
    "samlite_ros/msg/QueryStatus": QueryStatus,
    "samlite_ros/msg/QueryStatusArray": QueryStatusArray,
    "samlite_ros/msg/Segmentation": Segmentation,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/Image": Image,
    "std_msgs/msg/Header": Header,
    "vision_msgs/msg/BoundingBox2D": BoundingBox2D,
    "vision_msgs/msg/Detection2D": Detection2D,
    "vision_msgs/msg/Detection2DArray": Detection2DArray,
    "vision_msgs/msg/LabelInfo": LabelInfo,
    "vision_msgs/msg/ObjectHypothesis": ObjectHypothesis,
    "vision_msgs/msg/ObjectHypothesisWithPose": ObjectHypothesisWithPose,
    "vision_msgs/msg/Point2D": Point2D,
    "vision_msgs/msg/Pose2D": Pose2D,
    "vision_msgs/msg/VisionClass": VisionClass,
}


class RclpyFactory:
    """The classes of rclpy, for `samlite_ros.messages.fill`."""

    def new(self, type_name: str, **fields: Any) -> Any:
        """A message; see `MessageFactory`."""
        numbers = [(name, value) for name, value in fields.items() if type(value) is memoryview]
        for name, _ in numbers:
            del fields[name]
        message = _TYPES[type_name](**fields)
        for name, values in numbers:
            getattr(message, name).frombytes(values)
        return message

    def array(self, values: NDArray[Any]) -> Any:
        """The values' bytes: they go straight into the message's own array, for a constructor copies twice."""
        return np.ascontiguousarray(values).view(np.uint8).data


RCLPY = RclpyFactory()


def frame_from_image(message: Image, camera: str, fallback: Callable[[Image], NDArray[np.uint8]] | None) -> Frame:
    """A frame from a raw image.

    Args:
        message: The message.
        camera: Name of the camera.
        fallback: Converts encodings that our decoder does not know; see `cv_bridge_fallback`.

    Raises:
        ImageDecodeError: The message is impossible, of an unknown encoding, or without a stamp.
    """
    if message.encoding not in ENCODINGS and fallback is not None:
        image = fallback(message)
    else:
        image = decode_image(
            message.data, message.encoding, message.height, message.width, message.step, bool(message.is_bigendian)
        )
    return _frame(image, message.header, camera)


def frame_from_compressed(message: CompressedImage, camera: str) -> Frame:
    """A frame from a compressed image.

    Raises:
        ImageDecodeError: Another codec, damaged, or without a stamp.
    """
    return _frame(decode_compressed_image(message.data, message.format), message.header, camera)


def _frame(image: NDArray[np.uint8], header: Header, camera: str) -> Frame:
    stamp = stamp_ns(header.stamp)
    if stamp <= NO_STAMP:  # the node puts its own clock's time there
        raise ImageDecodeError(
            "image has no stamp, and the node's clock shows no time: with use_sim_time it needs /clock"
        )
    return Frame(image, stamp, header.frame_id, camera)


def compressed_message(rgb: NDArray[np.uint8], quality: int, stamp: int, frame_id: str) -> CompressedImage:
    """A JPEG of an RGB image (H, W, 3); quality 1 to 100."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    header = header_message(RCLPY, stamp, frame_id)
    return RCLPY.new("sensor_msgs/msg/CompressedImage", header=header, format="jpeg", data=RCLPY.array(data))
