"""The demo's planner: asks by topic, and keeps every answer with the time at which it came."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from samlite_ros.demo.scene_camera import QOS_SCENE, SceneDescription
from samlite_ros.errors import SamliteError
from samlite_ros.msg import QueryStatus, QueryStatusArray, Segmentation, TextQuery

CLIENT = "demo"
QOS_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class Answer:
    """One answer and when it came.

    Args:
        message: The Segmentation.
        latency_s: From the frame's stamp to the arrival of its answer [s].
        at_s: Arrival on a steady clock [s].
    """

    message: Segmentation
    latency_s: float
    at_s: float


class Observer(Node):
    """Publishes queries and collects answers, statuses and the scene's description."""

    def __init__(self) -> None:
        super().__init__("samlite_demo")
        self.answers: list[Answer] = []
        self.scene: SceneDescription | None = None
        self._statuses: dict[str, QueryStatus] = {}
        self._queries = self.create_publisher(TextQuery, "/samlite/query", 10)
        self.create_subscription(String, "/scene_camera/scene", self._on_scene, QOS_SCENE)
        self.create_subscription(Segmentation, "/samlite/segmentation", self._on_answer, 5)
        self.create_subscription(QueryStatusArray, "/samlite/query_status", self._on_status, QOS_LATCHED)

    def ask(self, phrase: str) -> None:
        """Add a query that is named by its phrase."""
        query = TextQuery(client=CLIENT, id=phrase, action=TextQuery.ADD, text=phrase)
        query.header.stamp = self.get_clock().now().to_msg()
        self._queries.publish(query)

    def withdraw(self, phrase: str) -> None:
        """Remove the query of this phrase."""
        self._queries.publish(TextQuery(client=CLIENT, id=phrase, action=TextQuery.REMOVE))

    def status(self, phrase: str) -> QueryStatus | None:
        """Newest status of a phrase's query."""
        return self._statuses.get(phrase)

    def knows_node(self) -> bool:
        """The samlite node is there and listens."""
        return self._queries.get_subscription_count() > 0

    def wait_for(self, what: str, condition: Callable[[], bool], timeout_s: float) -> None:
        """Spin until the condition holds.

        Raises:
            SamliteError: It did not within the time.
        """
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise SamliteError(f"waited {timeout_s:.0f} s for {what}, in vain")
            rclpy.spin_once(self, timeout_sec=0.1)

    def _on_scene(self, message: String) -> None:
        self.scene = SceneDescription.from_json(message.data)

    def _on_answer(self, message: Segmentation) -> None:
        now_ns = self.get_clock().now().nanoseconds
        stamp = message.header.stamp
        latency_s = (now_ns - stamp.sec * 1_000_000_000 - stamp.nanosec) / 1e9
        self.answers.append(Answer(message, latency_s, time.monotonic()))

    def _on_status(self, message: QueryStatusArray) -> None:
        self._statuses = {status.id: status for status in message.queries if status.client == CLIENT}
