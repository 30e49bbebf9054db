"""The executable `samlite_node`."""

from __future__ import annotations

import signal
import sys

import rclpy
from rclpy.executors import SingleThreadedExecutor

from samlite_ros.errors import ParameterError
from samlite_ros.live.memory import keep_freed_memory
from samlite_ros.network.host import NetworkHost
from samlite_ros.node.ending import leave, quiet_after_shutdown
from samlite_ros.node.node import SamliteNode
from samlite_ros.segmenter.load import SegmenterFactory, load_segmenter


def main(args: list[str] | None = None, segmenter_factory: SegmenterFactory = load_segmenter) -> int:
    """Run the node until it is interrupted; the process ends with it, with status 0.

    Args:
        args: Command line with ROS arguments; None = the process's.
        segmenter_factory: Builds the segmenter, in the network's process.

    Returns:
        1 where a parameter is wrong.
    """
    keep_freed_memory()
    # rclpy ends the spinning by itself. Python's own handler would raise KeyboardInterrupt wherever the thread is, also
    # inside of rclpy's conversion of a message, which makes another error of it, or aborts.
    signal.signal(signal.SIGINT, lambda *_: None)
    host = NetworkHost.start(segmenter_factory)  # before ROS, which has threads
    rclpy.init(args=args)
    try:
        with quiet_after_shutdown():
            _serve(_make_node(segmenter_factory, host))
    except ParameterError as error:
        rclpy.logging.get_logger("samlite").fatal(f"wrong parameter: {error}")
        rclpy.try_shutdown()
        return 1
    finally:
        if host is not None:
            host.close()
    rclpy.try_shutdown()
    leave(0)


def _make_node(segmenter_factory: SegmenterFactory, host: NetworkHost | None) -> SamliteNode:
    node = SamliteNode(segmenter_factory, host)
    if not node.values.network_process:
        if host is not None:
            host.close()
    elif host is None:
        node.get_logger().warning("threads run already, or this is not Linux: the network runs in the node's process")
    return node


def _serve(node: SamliteNode) -> None:
    """Answer until ROS is shut down."""
    try:
        node.start()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    finally:
        node.stop()


if __name__ == "__main__":
    sys.exit(main())
