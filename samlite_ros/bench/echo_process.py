"""A node that answers every image at once, with nothing: `python -m samlite_ros.bench.echo_process`.

What the way of an image to a node in Python and of an answer back takes, whatever the node does in between.
"""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from samlite_ros.live.memory import keep_freed_memory
from samlite_ros.messages.topics import COMPRESSED_IMAGE, IMAGE
from samlite_ros.msg import Segmentation
from samlite_ros.node.qos import profile_of


class Echo(Node):
    """On the topics of the node itself, raw and compressed."""

    def __init__(self) -> None:
        super().__init__("samlite")
        self._answers = self.create_publisher(Segmentation, "~/segmentation", 5)
        self.create_subscription(Image, IMAGE.of(), self._answer, profile_of(IMAGE.qos))
        self.create_subscription(CompressedImage, COMPRESSED_IMAGE.of(), self._answer, profile_of(IMAGE.qos))

    def _answer(self, message: Any) -> None:
        self._answers.publish(Segmentation(header=message.header))


def main() -> int:
    """Answer until interrupted."""
    keep_freed_memory()
    signal.signal(signal.SIGINT, lambda *_: None)  # rclpy ends the spinning
    rclpy.init()
    executor = SingleThreadedExecutor()
    executor.add_node(Echo())
    with suppress(ExternalShutdownException):
        executor.spin()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
