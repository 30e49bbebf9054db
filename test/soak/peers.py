"""The node's peers as programs, until a signal ends them: `camera HZ`, `planner PHRASE...`, `bare`"""

import itertools
import sys
import time
from collections.abc import Iterator

if __name__ == "__main__":
    from samlite_ros.node.signals import EarlySignals

    EarlySignals()

import numpy as np

SIZES = ((120, 160), (240, 320), (96, 128))
"""Height and width of images [px]."""


def film(size: tuple[int, int], begin: int = 0) -> Iterator[np.ndarray]:
    """Red and blue squares at rest, and something that never rests: the network has work all the time."""
    for shift in itertools.count(begin):
        image = np.full((*size, 3), 60, np.uint8)
        image[10:22, 4:16], image[10:22, 24:36] = (220, 20, 20), (20, 20, 220)
        image[34:44, 10 + shift % 30 : 20 + shift % 30] = 255
        yield image


def run_camera(rate_hz: float) -> None:
    """Publish an endless film on `image`."""
    import rclpy
    from sensor_msgs.msg import Image

    from samlite_ros.messages.fill import RCLPY, image_message

    rclpy.init()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, "image", 5)
    frames = film(SIZES[0])

    def publish() -> None:
        publisher.publish(image_message(RCLPY, next(frames), "rgb8", time.time_ns(), "optical"))

    node.create_timer(1 / rate_hz, publish)
    rclpy.spin(node)


def run_planner(phrases: list[str]) -> None:
    """Ask for phrases until the end."""
    import rclpy

    from samlite_ros.client import PlannerClient

    rclpy.init()
    node = rclpy.create_node("planner")
    PlannerClient("planner", node).replace({phrase: phrase for phrase in phrases})
    rclpy.spin(node)


def run_bare() -> None:
    """A node that does nothing but serve its parameters."""
    import rclpy

    rclpy.init()
    rclpy.spin(rclpy.create_node("bare"))


if __name__ == "__main__":
    if sys.argv[1] == "camera":
        run_camera(float(sys.argv[2]))
    elif sys.argv[1] == "bare":
        run_bare()
    else:
        run_planner(sys.argv[2:])
