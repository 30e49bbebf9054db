"""Transforms from tf2, where it is installed."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.time import Time

from samlite_ros.errors import ParameterError
from samlite_ros.space.frames import Transform, transform_of


class TfTransforms:
    """Listens to /tf and /tf_static on the node's executor; `lookup` may be called from any thread.

    Args:
        node: Subscribes.

    Raises:
        ParameterError: tf2_ros cannot be imported; the text says what to type.
    """

    def __init__(self, node: Node) -> None:
        try:
            import tf2_ros
        except ImportError as error:
            raise ParameterError(
                f"target_frame needs tf2_ros, which cannot be imported ({error}): "
                "sudo apt install ros-$ROS_DISTRO-tf2-ros-py"
            ) from error
        self._unknown: type[Exception] = tf2_ros.TransformException
        self._buffer: Any = tf2_ros.Buffer()
        self._listener: Any = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform | None:
        """See `space.frames.Transforms`."""
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns)).transform
        except self._unknown:
            return None
        move, turn = found.translation, found.rotation
        return transform_of((move.x, move.y, move.z), (turn.x, turn.y, turn.z, turn.w))
