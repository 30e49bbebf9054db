"""The demo's planner: keeps every answer with the time that it took, and knows what the camera renders."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node
from std_msgs.msg import String

from samlite_ros.client import PlannerClient
from samlite_ros.demo.scene_camera import QOS_SCENE, SceneDescription
from samlite_ros.errors import SamliteError
from samlite_ros.messages.fill import stamp_ns
from samlite_ros.msg import Segmentation


@dataclass(frozen=True)
class Arrival:
    """An answer that came.

    Args:
        message: The Segmentation.
        latency_s: From the frame's stamp to the arrival of its answer [s].
    """

    message: Segmentation
    latency_s: float


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
        planner.on_answer(self._on_answer)

    def wait_for_scene(self, timeout_s: float) -> None:
        """Spin until the camera has told what it renders.

        Raises:
            SamliteError: It did not within the time.
        """
        if not self.planner.spin_until(lambda: self.scene, timeout_s):
            raise SamliteError(f"waited {timeout_s:.0f} s for the camera, in vain")

    def _on_scene(self, message: String) -> None:
        self.scene = SceneDescription.from_json(message.data)

    def _on_answer(self, message: Segmentation) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        self.arrivals.append(Arrival(message, (now_ns - stamp_ns(message.header.stamp)) / 1e9))
