"""The executable `samlite_node`."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from samlite_ros.errors import ParameterError
from samlite_ros.node.node import SamliteNode, SegmenterFactory, load_network


def main(args: list[str] | None = None, segmenter_factory: SegmenterFactory = load_network) -> int:
    """Run the node until it is interrupted; the process ends with it, with status 0.

    Args:
        args: Command line with ROS arguments; None = the process's.
        segmenter_factory: Builds the segmenter.

    Returns:
        1 where a parameter is wrong.
    """
    rclpy.init(args=args)
    try:
        node = SamliteNode(segmenter_factory)
    except ParameterError as error:
        rclpy.logging.get_logger("samlite").fatal(f"wrong parameter: {error}")
        rclpy.try_shutdown()
        return 1
    _spin(node)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end takes seconds at most; a second one must not break it
    node.stop()
    rclpy.try_shutdown()
    _leave(0)


def _spin(node: SamliteNode) -> None:
    """Serve until ROS is shut down."""
    try:
        node.start()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if node.context.ok():
            raise  # otherwise a callback published when ROS was shut down already, which is no news


def _leave(status: int) -> NoReturn:
    """End the process now, all being stopped.

    Python would wait for a thread that is deep in the network, and unload torch with a second of CPU time, which on a
    busy computer is more than the 5 s that launch waits.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
