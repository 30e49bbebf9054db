"""The message classes of rclpy, for the functions that fill them; numpy scalars never reach a field."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
