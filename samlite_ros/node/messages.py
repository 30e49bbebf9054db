"""Between ROS messages and the package's own values; numpy scalars never reach a field."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from samlite_ros.pixels.decode import ENCODINGS, decode_compressed_image, decode_image
from samlite_ros.types import Frame


@cache
def message_class(type_name: str) -> Any:
    """The class of rclpy's for a type, e.g. 'sensor_msgs/msg/Image'."""
    package, _, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


class RclpyFactory:
    """The classes of rclpy, for `samlite_ros.messages.fill`."""

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


def frame_from_image(
    message: Image, stamp_ns: int, camera: str, fallback: Callable[[Image], NDArray[np.uint8]] | None
) -> Frame:
    """A frame from a raw image.

    Args:
        message: The message.
        stamp_ns: When it was taken [ns].
        camera: Name of the camera.
        fallback: Converts encodings that our decoder does not know; see `cv_bridge_fallback`.

    Raises:
        ImageDecodeError: The message is impossible, or of an unknown encoding.
    """
    if message.encoding not in ENCODINGS and fallback is not None:
        image = fallback(message)
    else:
        image = decode_image(
            message.data, message.encoding, message.height, message.width, message.step, bool(message.is_bigendian)
        )
    return Frame(image, stamp_ns, message.header.frame_id, camera)


def frame_from_compressed(message: CompressedImage, stamp_ns: int, camera: str) -> Frame:
    """A frame from a compressed image, taken at this time [ns].

    Raises:
        ImageDecodeError: Another codec, or damaged.
    """
    return Frame(decode_compressed_image(message.data, message.format), stamp_ns, message.header.frame_id, camera)
