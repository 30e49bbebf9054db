"""Messages as the node unpacks them from the middleware, in C; only where ROS and our messages are installed."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from targets import MAX_PIXELS, PICTURE, Target, query_seeds

from samlite_ros.errors import SamliteError
from samlite_ros.messages.fill import RCLPY, compressed_image_message, image_message, message_class
from samlite_ros.messages.read import read_companion, read_frame, read_request, read_requests

TYPES = (
    "samlite_ros/msg/TextQuery",
    "samlite_ros/msg/QuerySet",
    "std_msgs/msg/String",
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CompressedImage",
    "sensor_msgs/msg/CameraInfo",
)


def read_image(message: Any) -> Any:
    return read_frame(message, 1, "", max_pixels=MAX_PIXELS)


READ = {
    "samlite_ros/msg/TextQuery": read_request,
    "samlite_ros/msg/QuerySet": read_requests,
    "sensor_msgs/msg/Image": lambda message: (read_image(message), read_companion(message)),
    "sensor_msgs/msg/CompressedImage": read_image,
    "sensor_msgs/msg/CameraInfo": read_companion,
}


def run_wire(data: bytes) -> None:
    """As each of the types that the node listens to."""
    from rclpy.serialization import deserialize_message

    for type_name in TYPES:
        message: Any = None
        with suppress(Exception):  # the middleware raises errors of its own
            message = deserialize_message(data, message_class(type_name))
        if message is not None and type_name in READ:
            with suppress(SamliteError):
                READ[type_name](message)


def wire_seeds() -> list[bytes]:
    from rclpy.serialization import serialize_message

    calibration = message_class("sensor_msgs/msg/CameraInfo")(
        d=[0.1] * 5, k=[50.0, 0, 20, 0, 50, 20, 0, 0, 1], width=52, height=37, distortion_model="plumb_bob"
    )
    return [
        *query_seeds(),
        bytes(serialize_message(image_message(RCLPY, PICTURE, "rgb8", 5, "optical"))),
        bytes(serialize_message(compressed_image_message(RCLPY, PICTURE, 80, 5, "optical"))),
        bytes(serialize_message(calibration)),
    ]


WIRE_TARGETS = {"wire": Target(run_wire, wire_seeds)} if find_spec("rclpy") and find_spec("samlite_ros.msg") else {}
