"""From the command line to the end of the process: parameters, the network's host, ROS, the node."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import rclpy
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.utilities import remove_ros_args

from samlite_ros.errors import ParameterError
from samlite_ros.foreign.words import one_line, quoted
from samlite_ros.network.host import NetworkHost
from samlite_ros.node.ending import end_in_time, leave, quiet_after_shutdown
from samlite_ros.node.node import SamliteNode
from samlite_ros.node.signals import EarlySignals
from samlite_ros.node.spinning import spin_guarded
from samlite_ros.parameters.file import check_parameter_file
from samlite_ros.pixels.host_memory import keep_freed_memory
from samlite_ros.segmenter.load import SegmenterFactory


def run(words: list[str], segmenter_factory: SegmenterFactory, signals: EarlySignals) -> int:
    """Run the node until it is interrupted; the process ends with it, with status 0.

    Args:
        words: Command line with ROS arguments.
        segmenter_factory: Builds the segmenter, in the network's process.
        signals: Are left to ROS once it heeds them.

    Returns:
        1 where a parameter is wrong.
    """
    keep_freed_memory()
    try:
        oddities = [check_parameter_file(path, _node_name(words)) for path in _values_after("--params-file", words)]
    except ParameterError as error:
        return _refuse(error)
    host = NetworkHost.start(segmenter_factory)  # before ROS, which has threads
    try:
        _init(words)
        _refuse_other_words(words)
        signals.leave_to_ros()
        end_in_time(host)
        for line in filter(None, oddities):
            rclpy.logging.get_logger("samlite").warning(line)
        with quiet_after_shutdown():
            _serve(_make_node(segmenter_factory, host))
    except ParameterError as error:
        return _refuse(error)
    finally:
        if host is not None:
            host.close()
    rclpy.try_shutdown()
    leave(0)


def _init(words: list[str]) -> None:
    """rcl reads the command line.

    Raises:
        ParameterError: It cannot be read.
    """
    try:
        rclpy.init(args=words)
    except Exception as error:  # rclpy raises errors of several kinds, humanly worded
        raise ParameterError(" ".join(str(error).split())) from error


def _refuse_other_words(words: list[str]) -> None:
    """ROS takes no notice of what is none of its arguments.

    Raises:
        ParameterError: There are such.
    """
    if others := remove_ros_args(words)[1:]:
        raise ParameterError(
            f"{quoted(others[0])} is no argument of ROS: write --ros-args -p model:=demo -r image:=/image"
        )


def _refuse(error: ParameterError) -> int:
    rclpy.logging.get_logger("samlite").fatal(f"wrong parameter: {error}")
    rclpy.try_shutdown()
    return 1


def _values_after(option: str, words: Sequence[str]) -> list[Path]:
    return [Path(value) for word, value in pairwise(words) if word == option]


def _node_name(words: Sequence[str]) -> str:
    """As the command line renames the node."""
    renamed = [word.partition("__node:=")[2] for word in words if "__node:=" in word]
    return renamed[-1] if renamed else "samlite"


def _make_node(segmenter_factory: SegmenterFactory, host: NetworkHost | None) -> SamliteNode:
    try:
        node = SamliteNode(segmenter_factory, host)
    except InvalidParameterTypeException as error:  # of a parameter that rclpy declares: use_sim_time
        raise ParameterError(one_line(error)) from error
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
        spin_guarded(node, node.on_callback_failure)
    finally:
        if node.stop():  # else a thread may still publish
            node.destroy_node()
