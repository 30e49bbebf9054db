"""The node with a fake segmenter, interrupted while rclpy makes a Python message of an image that came."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from fake_node import make
from sensor_msgs.msg import Image

from samlite_ros.node.main import main

make_image = Image.__init__


def make_image_and_interrupt(self: Image, **fields: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    make_image(self, **fields)


if __name__ == "__main__":
    Image.__init__ = make_image_and_interrupt
    sys.exit(main(segmenter_factory=make))
