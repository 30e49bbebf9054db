"""The running graph: the nodes that are there, what they say of themselves, who feeds them, and whose QoS misfits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from samlite_ros.doctor.finding import Finding, Level, error, ok, warn
from samlite_ros.foreign.words import cut, quoted_names
from samlite_ros.messages.outputs import DIAGNOSTICS, QUERY_STATUS
from samlite_ros.messages.topics import COMPRESSED_IMAGE, IMAGE
from samlite_ros.node.qos import endpoint_name, misfit

ANSWER_S = 2.0
"""A node that is well answers a service in a fraction of it [s]."""
STALE_S = 5.0
SAID_CHARACTERS = 300
_IMAGE_TYPES = (IMAGE.type_name, COMPRESSED_IMAGE.type_name)


class Observer:
    """A node that looks at the graph for some seconds.

    Args:
        seconds: So long it listens before it judges.
    """

    def __init__(self, node: Node, executor: SingleThreadedExecutor, seconds: float) -> None:
        self.node, self._executor = node, executor
        self._said: dict[str, Any] = {}
        best_effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        node.create_subscription(DiagnosticArray, DIAGNOSTICS.of(), self._on_diagnostics, best_effort)
        self.spin(seconds)

    def spin(self, seconds: float, is_over: Any = lambda: False) -> None:
        """Listen for so long, or until it is over."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0 and not is_over():
            self._executor.spin_once(timeout_sec=min(left_s, 0.05))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._said[status.name] = status

    def samlite_nodes(self) -> list[str]:
        """Full names of the nodes that tell statuses of queries."""
        suffix = QUERY_STATUS.name.removeprefix("~")
        topics = self.node.get_topic_names_and_types()
        mine = [name for name, types in topics if name.endswith(suffix) and QUERY_STATUS.type_name in types]
        return sorted({endpoint_name(peer) for name in mine for peer in self.node.get_publishers_info_by_topic(name)})

    def statuses(self, name: str) -> list[Any]:
        """What a node said last of itself, in the diagnostics."""
        return [status for status in self._said.values() if status.hardware_id == name]

    def parameter(self, name: str, parameter: str) -> tuple[bool, bool | None]:
        """Whether the node answered, and a truth value of it; None = it has none such."""
        client = self.node.create_client(GetParameters, f"{name}/get_parameters")
        future = (
            client.call_async(GetParameters.Request(names=[parameter])) if client.wait_for_service(ANSWER_S) else None
        )
        if future is None:
            return False, None
        self.spin(ANSWER_S, future.done)
        if not future.done():
            return False, None
        values = future.result().values
        return True, bool(values[0].bool_value) if values and values[0].type == 1 else None


@contextmanager
def observing(seconds: float) -> Iterator[Observer]:
    """An observer on the graph of the environment."""
    context = Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node("samlite_doctor", context=context, enable_rosout=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield Observer(node, executor, seconds)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def check_graph(observer: Observer) -> list[Finding]:
    """Every samlite node of the graph."""
    names = observer.samlite_nodes()
    if not names:
        return [ok("graph", "no samlite node is running here (or in another domain, or on another machine)")]
    return [finding for name in names for finding in check_node(observer, name)]


def check_node(observer: Observer, name: str) -> list[Finding]:
    """Does it answer, what does it say, and who talks to it?"""
    answered, uses_sim_time = observer.parameter(name, "use_sim_time")
    if not answered:
        advice = "it is stopped, busy for long, or another domain's: look at its log"
        return [error("graph", f"{name} does not answer within {ANSWER_S:g} s", advice)]
    findings = [ok("graph", f"{name} is there and answers"), *_said(observer, name)]
    findings += check_clock_topic(name, bool(uses_sim_time), observer.node.count_publishers("/clock"))
    return findings + list(_peers(observer.node, name))


def check_clock_topic(name: str, uses_sim_time: bool, clocks: int) -> list[Finding]:
    """Does the node's time move, and is it the graph's?"""
    if uses_sim_time and not clocks:
        advice = "play the bag with --clock, start the simulator, or set use_sim_time: false"
        return [error("clock", f"{name} has use_sim_time, and nobody publishes /clock: its time stands still", advice)]
    if clocks > 1:
        return [error("clock", f"{clocks} nodes publish /clock: time jumps to and fro", "stop all but one")]
    if clocks and not uses_sim_time:
        advice = "set use_sim_time: true where images are stamped by it"
        return [warn("clock", f"somebody publishes /clock, and {name} has use_sim_time: false", advice)]
    return [ok("clock", f"{name} goes by {'/clock' if uses_sim_time else 'the system'}")]


def _said(observer: Observer, name: str) -> list[Finding]:
    statuses = observer.statuses(name)
    if not statuses:
        advice = "nothing came on /diagnostics: it hangs, or messages of it are lost"
        return [warn("graph", f"{name} says nothing of itself", advice)]
    return [_finding_of(status) for status in statuses]


def _finding_of(status: Any) -> Finding:
    level = Level(min(int.from_bytes(status.level, "little"), int(Level.ERROR)))
    advice = "" if level == Level.OK else "docs/faults.md says what the node does about it"
    return Finding("graph", level, f"{status.name}: {cut(status.message, SAID_CHARACTERS)}", advice)


def _peers(node: Node, name: str) -> Iterator[Finding]:
    """A finding for each image topic of the node's that nobody publishes, and for each peer that does not fit."""
    short, _, namespace = name[::-1].partition("/")
    for topic, types in _topics(node, short[::-1], namespace[::-1] or "/"):
        writers, readers = node.get_publishers_info_by_topic(topic), node.get_subscriptions_info_by_topic(topic)
        yield from misfits(name, topic, writers, readers)
        listens = any(endpoint_name(reader) == name for reader in readers)
        if listens and not writers and set(types) & set(_IMAGE_TYPES) and _is_main(topic):
            advice = f"start the camera, or remap: image:=... (images are on {_image_topics(node, name)})"
            yield warn("graph", f"{topic}: {name} listens, nobody publishes", advice)


def _topics(node: Node, name: str, namespace: str) -> list[tuple[str, Sequence[str]]]:
    both = (node.get_subscriber_names_and_types_by_node, node.get_publisher_names_and_types_by_node)
    return sorted({topic: tuple(types) for of in both for topic, types in of(name, namespace)}.items())


def _is_main(topic: str) -> bool:
    """Depth is wanted only where somebody asks for positions."""
    return "depth" not in topic


def _image_topics(node: Node, name: str) -> str:
    found = [
        topic
        for topic, types in node.get_topic_names_and_types()
        if set(types) & set(_IMAGE_TYPES) and not topic.startswith(f"{name}/") and node.count_publishers(topic)
    ]
    return quoted_names(found) or "no topic"


def misfits(name: str, topic: str, writers: Sequence[Any], readers: Sequence[Any]) -> Iterator[Finding]:
    """Each peer of the node's on a topic whose type or QoS is another one.

    Args:
        name: Of the node.
        topic: Of both sides.
        writers, readers: Endpoints, as the graph tells of them.
    """
    for writer in writers:
        for reader in readers:
            if name not in (endpoint_name(writer), endpoint_name(reader)):
                continue
            pair = f"{topic}: {endpoint_name(writer)} does not reach {endpoint_name(reader)}"
            if writer.topic_type != reader.topic_type:
                yield error(
                    "graph", f"{pair}: {writer.topic_type} is not {reader.topic_type}", "publish the right type"
                )
            elif why := misfit(writer.qos_profile, reader.qos_profile):
                yield error("graph", f"{pair}: {why}", "change the QoS of one side (qos_overrides..., docs/faults.md)")
