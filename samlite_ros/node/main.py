"""The executable `samlite_node`."""

from __future__ import annotations

import os
import sys

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from samlite_ros.errors import ParameterError
from samlite_ros.node.node import SamliteNode, SegmenterFactory, load_network


def main(args: list[str] | None = None, segmenter_factory: SegmenterFactory = load_network) -> int:
    """Run the node until it is interrupted.

    Args:
        args: Command line with ROS arguments; None = the process's.
        segmenter_factory: Builds the segmenter.

    Returns:
        Exit status: 0 after an interrupt, 1 where a parameter is wrong.
    """
    rclpy.init(args=args)
    try:
        node = SamliteNode(segmenter_factory)
    except ParameterError as error:
        rclpy.logging.get_logger("samlite").fatal(f"wrong parameter: {error}")
        rclpy.try_shutdown()
        return 1
    try:
        node.start()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        ended = node.stop()
        rclpy.try_shutdown()
    if not ended:  # a thread deep in the network cannot be interrupted, and a normal exit would wait for it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
