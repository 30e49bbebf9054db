"""The benchmark's end of the graph: a camera that sends prepared images, and who notes when the answers come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any, NamedTuple

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from samlite_ros.errors import SamliteError
from samlite_ros.messages.fill import RCLPY, stamp_ns, time_message
from samlite_ros.msg import Segmentation, TextQuery

_CLIENT = "bench"
_PAUSE_S = 0.31
"""Between late queries [s]; no multiple of a frame's time, so that they come at all moments of a pass."""


class Arrival(NamedTuple):
    """One answer.

    Args:
        at_ns: When it came, on the clock of the stamps [ns].
        stamp_ns: Of the frame that it answers [ns].
        knowledge_age_s: Greatest age of the image that one of its masks came from [s].
    """

    at_ns: int
    stamp_ns: int
    knowledge_age_s: float = 0.0

    @property
    def latency_ms(self) -> float:
        """From stamp to arrival [ms]."""
        return (self.at_ns - self.stamp_ns) / 1e6


class CameraAndListener(Node):
    """Sends prepared images with the present as stamp, and notes when the answers come.

    Args:
        images: Image messages, to be shown in turn.
        compressed: They are.
        rate_hz: How often [Hz].
    """

    def __init__(self, images: Sequence[Any], compressed: bool, rate_hz: float) -> None:
        super().__init__("samlite_bench")
        self.arrivals: list[Arrival] = []
        self.sent_ns: list[int] = []
        self._searched: set[str] = set()
        self._messages = cycle(images)
        kind, topic = (CompressedImage, "/image/compressed") if compressed else (Image, "/image")
        self._images = self.create_publisher(kind, topic, QoSProfile(depth=2))
        self._queries = self.create_publisher(TextQuery, "/samlite/query", QoSProfile(depth=10))
        self.create_subscription(Segmentation, "/samlite/segmentation", self._on_answer, QoSProfile(depth=50))
        self.create_timer(1 / rate_hz, self._send)
        self._executor = SingleThreadedExecutor()  # rclpy.spin_once would make one for each message
        self._executor.add_node(self)

    def spin_until(self, condition: Callable[[], bool]) -> None:
        """Send and listen until the condition holds."""
        while not condition():
            self._executor.spin_once(timeout_sec=0.1)

    def has_answers(self, count: int) -> bool:
        """So many frames were answered."""
        return len(self.arrivals) >= count

    def restart(self) -> None:
        """Forget what was seen so far."""
        self.arrivals.clear()
        self.sent_ns.clear()

    def ask_late(self, phrases: Sequence[str], timeout_s: float) -> list[float]:
        """Ask for one phrase after the other by topic, and withdraw it.

        Returns:
            From each query to the first answer that had searched for it [s].

        Raises:
            SamliteError: None came within the time.
        """
        waits_s = []
        for phrase in phrases:
            began_s = time.monotonic()
            self._queries.publish(TextQuery(client=_CLIENT, id=phrase, action=TextQuery.ADD, text=phrase))
            self._spin_for(timeout_s, phrase)
            waits_s.append(time.monotonic() - began_s)
            if phrase not in self._searched:
                raise SamliteError(f"waited {timeout_s:.0f} s for an answer about {phrase!r}, in vain")
            self._queries.publish(TextQuery(client=_CLIENT, id=phrase, action=TextQuery.REMOVE))
            self._spin_for(_PAUSE_S)
        return waits_s

    def _spin_for(self, seconds: float, phrase: str = "") -> None:
        """Until an answer had searched for the phrase, or the time is over."""
        until_s = time.monotonic() + seconds
        self.spin_until(lambda: phrase in self._searched or time.monotonic() > until_s)

    def _send(self) -> None:
        message, now_ns = next(self._messages), time.time_ns()
        message.header.stamp = time_message(RCLPY, now_ns)
        self._images.publish(message)
        self.sent_ns.append(now_ns)

    def _on_answer(self, message: Segmentation) -> None:
        at_ns, stamp = time.time_ns(), stamp_ns(message.header.stamp)
        ages_s = [(stamp - stamp_ns(i.keyframe_stamp)) / 1e9 for i in message.instances]
        self.arrivals.append(Arrival(at_ns, stamp, max([0.0, *ages_s])))
        self._searched |= {r.query_id for r in message.results if stamp_ns(r.keyframe_stamp)}
