"""Publishes a bag on a ROS graph, for machines without `ros2 bag`."""

from __future__ import annotations

import time

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import QosDurability, QosReliability
from rosgraph_msgs.msg import Clock

from samlite_ros.bags.prefetch import Prefetch
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.storage import Topic
from samlite_ros.errors import BagError, RosError
from samlite_ros.foreign.words import one_line, quoted
from samlite_ros.messages.fill import RCLPY, time_message
from samlite_ros.play.message_types import installed_class
from samlite_ros.play.schedule import Due, PlayOptions, schedule

CLOCK_TOPIC = "/clock"
DEPTH = 10
POLL_S = 0.02
ACKNOWLEDGED_S = 5.0
"""Reliable subscribers get so long at the end for what is still on its way to them [s]."""


def play(reader: BagReader, options: PlayOptions) -> int:
    """Publish a bag at its own pace, until its end or an interrupt.

    Args:
        reader: The bag; gets a fault for each topic whose type is not installed.
        options: How to play.

    Returns:
        Number of messages published.

    Raises:
        BagError: There is nothing to play.
        RosError: ROS cannot be started.
    """
    context, node = _start()
    try:
        player = _Player(node, reader, options)
        player.wait_for_subscribers()
        published = player.run()
        player.wait_until_acknowledged()  # not after an interrupt, which often ends the subscribers as well
        return published
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def _start() -> tuple[Context, Node]:
    context = Context()
    try:
        rclpy.init(context=context)
        return context, rclpy.create_node("samlite_play", context=context)
    except RuntimeError as error:  # RCLError is one
        advice = "ROS_LOG_DIR names a folder for its log; `samlite doctor` looks at the rest"
        raise RosError(f"ROS cannot be started here: {one_line(error)}: {advice}") from error


class _Player:
    def __init__(self, node: Node, reader: BagReader, options: PlayOptions) -> None:
        self._reader, self._options = reader, options
        self._publishers: dict[str, Publisher] = {}
        unknown = [name for name in options.topics if name not in reader.topics]
        if unknown:
            raise BagError(f"{reader.path}: no topic {', '.join(unknown)}; {reader.listing}")
        for topic in reader.topics.values():
            if topic.name in (options.topics or reader.topics) and not (options.clock_hz and topic.name == CLOCK_TOPIC):
                self._add_publisher(node, topic)
        if not self._publishers:
            raise BagError(f"{reader.path}: nothing to play; {reader.listing}")
        self._clock = node.create_publisher(Clock, CLOCK_TOPIC, DEPTH) if options.clock_hz else None

    def _add_publisher(self, node: Node, topic: Topic) -> None:
        try:
            kind = installed_class(topic.type_name)
            qos = _qos_of(topic, self._options.reliable)
            self._publishers[topic.name] = node.create_publisher(kind, topic.name, qos)
        except BagError as error:
            self._reader.add_fault(f"{quoted(topic.name)} is not played: {error}")
        except (InvalidTopicNameException, RCLError, UnicodeError, ValueError) as error:
            self._reader.add_fault(f"{quoted(topic.name)} is not played: {one_line(error)}")

    def wait_for_subscribers(self) -> None:
        """Wait until every topic has a subscriber, at most as long as the options say, and then their delay."""
        deadline_s = time.monotonic() + self._options.wait_s
        while time.monotonic() < deadline_s:
            if all(publisher.get_subscription_count() for publisher in self._publishers.values()):
                break
            time.sleep(POLL_S)
        time.sleep(self._options.delay_s)

    def run(self) -> int:
        """Publish; returns the number of messages."""
        published = 0
        start_s = time.monotonic()
        due = schedule(lambda: self._reader.messages(self._publishers), self._options)
        with Prefetch(due, depth=32) as ahead:
            for item in ahead:
                time.sleep(max(start_s + item.after_s - time.monotonic(), 0))
                published += self._publish(item)
        return published

    def wait_until_acknowledged(self) -> None:
        """Wait until reliable subscribers have all that was published; it is lost with the publisher otherwise."""
        deadline_s = time.monotonic() + ACKNOWLEDGED_S
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=max(deadline_s - time.monotonic(), 0.0)))

    def _publish(self, item: Due) -> int:
        if item.message is not None:
            self._publishers[item.message.topic].publish(item.message.data)
            return 1
        if self._clock is not None:
            self._clock.publish(Clock(clock=time_message(RCLPY, item.time_ns)))
        return 0


def _qos_of(topic: Topic, reliable: bool) -> QoSProfile:
    """As it was offered when it was recorded, or reliable; reliable and volatile where the bag does not say."""
    offered = topic.qos[0] if topic.qos else None
    qos = QoSProfile(depth=DEPTH)
    if not reliable and offered is not None and offered.reliability is QosReliability.BEST_EFFORT:
        qos.reliability = ReliabilityPolicy.BEST_EFFORT
    if offered is not None and offered.durability is QosDurability.TRANSIENT_LOCAL:
        qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return qos
