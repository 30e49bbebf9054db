"""The demo's planner: keeps every answer with the time of its arrival, and knows what the camera renders, and when."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String

from samlite_ros.client import PlannerClient
from samlite_ros.demo.circumstances import CameraCounts, Traffic, read_counts, traffic_between
from samlite_ros.demo.scene_camera import QOS_SCENE, SceneDescription
from samlite_ros.errors import SamliteError
from samlite_ros.messages.fill import stamp_ns
from samlite_ros.msg import Segmentation

PING_AGAIN_S = 0.2
"""A message that has not come back by then is followed by another: the first may be lost, before anybody hears [s]."""


@dataclass(frozen=True)
class Arrival:
    """An answer that came.

    Args:
        message: The Segmentation.
        arrived_ns: When it came [ns].
    """

    message: Segmentation
    arrived_ns: int


@dataclass(frozen=True)
class Way:
    """What messages take between processes, without a network between.

    Args:
        there_s: A camera image to another process [s].
        back_s: A short message [s].
    """

    there_s: float
    back_s: float


class Observer:
    """Collects the answers to a planner's queries, and the scene's description.

    Args:
        planner: Asks.
    """

    def __init__(self, planner: PlannerClient) -> None:
        self.planner = planner
        self.arrivals: list[Arrival] = []
        self.scene: SceneDescription | None = None
        self._node: Node = planner.node
        self._node.create_subscription(String, "/scene_camera/scene", self._on_scene, QOS_SCENE)
        self._published_ns: dict[int, int] = {}  # by stamp [ns]
        self._node.create_subscription(String, "/scene_camera/published", self._on_published, 100)
        self._counts: CameraCounts | None = None
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        planner.on_answer(self._on_answer)

    def wait_for_scene(self, timeout_s: float) -> None:
        """Spin until the camera has told what it renders.

        Raises:
            SamliteError: It did not within the time.
        """
        if not self.planner.spin_until(lambda: self.scene, timeout_s):
            raise SamliteError(f"waited {timeout_s:.0f} s for the camera, in vain")

    def latencies_s(self, arrivals: Sequence[Arrival], timeout_s: float) -> list[float]:
        """From publishing the frame to the arrival of its answer [s], of those whose publishing was heard of.

        Args:
            arrivals: Answers, in the order in which they came.
            timeout_s: What the camera says of its frames may come so much later, on a busy machine [s].
        """
        newest = max((stamp_ns(a.message.header.stamp) for a in arrivals), default=0)
        self.planner.spin_until(lambda: max(self._published_ns, default=0) >= newest, timeout_s)
        stamped = [(a.arrived_ns, self._published_ns.get(stamp_ns(a.message.header.stamp))) for a in arrivals]
        return [(arrived - published) / 1e9 for arrived, published in stamped if published is not None]

    def next_counts(self, timeout_s: float) -> CameraCounts:
        """Spin until the node has told again how many frames reached it; it does once a second.

        Raises:
            SamliteError: It did not within the time.
        """
        self._counts = None
        if not self.planner.spin_until(lambda: self._counts, timeout_s) or self._counts is None:
            raise SamliteError(f"waited {timeout_s:.0f} s for the node's diagnostics, in vain")
        return self._counts

    def traffic(self, before: CameraCounts, after: CameraCounts, rate_hz: float) -> Traffic:
        """What became of the camera's frames meanwhile.

        Args:
            before, after: What the node told.
            rate_hz: The camera's [Hz].
        """
        return traffic_between(before, after, self._published_ns.values(), rate_hz)

    def measure_way(self, count: int, timeout_s: float) -> Way:
        """Take part as the node does: hear images, and have short messages sent back, some of each.

        Raises:
            SamliteError: They did not come within the time.
        """
        there, back = self._hear_images(count, timeout_s), self._ping(count, timeout_s)
        return Way(statistics.median(there), statistics.median(back))

    def _hear_images(self, count: int, timeout_s: float) -> list[float]:
        heard: list[tuple[int, int]] = []

        def on_image(message: Any) -> None:
            heard.append((stamp_ns(message.header.stamp), self._now_ns()))

        def known() -> list[float]:
            return [(at - self._published_ns[stamp]) / 1e9 for stamp, at in heard if stamp in self._published_ns]

        listener = self._node.create_subscription(Image, "/scene_camera/image", on_image, QoSProfile(depth=1))
        came = self.planner.spin_until(lambda: len(known()) >= count, timeout_s)
        self._node.destroy_subscription(listener)
        if not came:
            raise SamliteError(f"waited {timeout_s:.0f} s for {count} images, {len(known())} came")
        return known()

    def _ping(self, count: int, timeout_s: float) -> list[float]:
        """Half of the time there and back, each."""
        took: list[float] = []
        publisher = self._node.create_publisher(String, "/scene_camera/ping", 10)

        def on_pong(message: Any) -> None:
            took.append((self._now_ns() - int(message.data)) / 2e9)

        listener = self._node.create_subscription(String, "/scene_camera/pong", on_pong, 10)
        deadline_s = time.monotonic() + timeout_s
        while len(took) < count and time.monotonic() < deadline_s:
            before = len(took)
            publisher.publish(String(data=str(self._now_ns())))
            self.planner.spin_until(lambda before=before: len(took) > before, PING_AGAIN_S)  # type: ignore[misc]
        self._node.destroy_subscription(listener)
        self._node.destroy_publisher(publisher)
        if len(took) < count:
            raise SamliteError(f"waited {timeout_s:.0f} s for {count} messages to come back, {len(took)} did")
        return took

    def _on_published(self, message: String) -> None:
        stamp, published = message.data.split()
        self._published_ns[int(stamp)] = int(published)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._counts = read_counts(message) or self._counts

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _on_scene(self, message: String) -> None:
        self.scene = SceneDescription.from_json(message.data)

    def _on_answer(self, message: Segmentation) -> None:
        self.arrivals.append(Arrival(message, self._now_ns()))
