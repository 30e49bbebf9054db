"""One camera's subscription: what it listens to, what was lost on the way, and why nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from samlite_ros.errors import StampError
from samlite_ros.foreign.stamps import read_stamp_ns
from samlite_ros.messages.topics import COMPRESSED_IMAGE, IMAGE
from samlite_ros.node.qos import QosWatch, endpoint_name, misfit
from samlite_ros.streaming.rhythm import StampRhythm
from samlite_ros.streaming.stamps import IMPOSSIBLE_NS

NAMES_SHOWN = 3
"""So many topics are named at most where nobody publishes ours."""


class ImageInput:
    """Subscribes to a camera's images; used from the executor's thread.

    Args:
        node: Subscribes.
        qos: Makes the subscription.
        camera: Name of the camera.
        transport: 'raw' or 'compressed'.
        on_image: Takes each message, and the stamp in its header [ns]; IMPOSSIBLE_NS where it holds none.
    """

    def __init__(
        self, node: Node, qos: QosWatch, camera: str, transport: str, on_image: Callable[[Any, int], None]
    ) -> None:
        self._node, self._qos, self._on_image = node, qos, on_image
        self.transport = transport
        self._topic, self._name = IMAGE, IMAGE.of(camera)
        if transport == "compressed":
            # Below the resolved name, so that one remapping of `image` serves both transports.
            self._topic, self._name = COMPRESSED_IMAGE, f"{node.resolve_topic_name(self._name)}/compressed"
        self._rhythm = StampRhythm()
        self._lost_events = 0
        self._subscription = self._subscribe()

    @property
    def topic(self) -> str:
        """Full name of the topic."""
        return str(self._subscription.topic_name)

    @property
    def reliability(self) -> str:
        """'reliable' or 'best effort'."""
        return "reliable" if self._is_reliable() else "best effort"

    @property
    def lost(self) -> int:
        """Images that were published and did not arrive: as the middleware tells, or as gaps in their stamps show."""
        return max(self._lost_events, self._rhythm.missing)

    @property
    def surely_lost(self) -> int:
        """Those that the middleware told of; by gaps alone a camera may have left them out."""
        return self._lost_events

    def in_words(self) -> str:
        """Topic, transport and reliability."""
        return f"{self.topic} ({self.transport}, {self.reliability})"

    def publishers(self) -> int:
        """Of the topic."""
        return int(self._node.count_publishers(self.topic))

    def remedy(self) -> str:
        """What may help where images are lost, of what is not done already."""
        others = [] if self._is_reliable() else ["ask for reliable delivery (launch argument reliability:=reliable)"]
        if self.transport == "raw":
            others.append("ask for compressed images (image_transport:=compressed)")
        return (
            f"on one machine with Fast DDS give camera and node config/fastdds.xml{'; else ' if others else ''}"
            f"{', or '.join(others)}; where a node was killed (kill -9) before, restart the camera"
        )

    def why_silent(self) -> tuple[str, str]:
        """The likely cause where nothing comes, and what may help; the latter may be empty."""
        peers = self._node.get_publishers_info_by_topic(self.topic)
        if not peers:
            return f"nobody publishes it{self._hint()}", ""
        others = [p for p in peers if p.topic_type != self._topic.type_name]
        if len(others) == len(peers):
            return f"{endpoint_name(others[0])} publishes {others[0].topic_type}, not {self._topic.type_name}", ""
        ours = self._subscription.qos_profile
        reasons = [(p, why) for p in peers if (why := misfit(p.qos_profile, ours))]
        if len(reasons) == len(peers):
            return f"QoS mismatch with {endpoint_name(reasons[0][0])}: {reasons[0][1]}", ""
        are = "1 publisher is" if len(peers) == 1 else f"{len(peers)} publishers are"
        who = f"{are} there ({endpoint_name(peers[0])})"
        return f"{who} but nothing arrives: it sends nothing, or all of it is lost", self.remedy()

    def follow_publishers(self, *, losing: bool) -> str:
        """Where images are lost, ask for them again if all who publish offer that; no more where one does not.

        Nothing changes where a parameter says which reliability it is to be.

        Returns:
            What was changed, in words; empty = nothing.
        """
        peers = self._node.get_publishers_info_by_topic(self.topic)
        offered = bool(peers) and all(p.qos_profile.reliability == ReliabilityPolicy.RELIABLE for p in peers)
        if self._qos.is_overridden(self.topic, "reliability"):
            return ""
        if losing and offered and not self._is_reliable():
            self._subscribe_again(ReliabilityPolicy.RELIABLE)
            return f"{self.topic}: lost parts are asked for again from now on (reliable)"
        if peers and not offered and self._is_reliable():
            self._subscribe_again(ReliabilityPolicy.BEST_EFFORT)
            return f"{self.topic}: a publisher offers best effort only, so do we"
        return ""

    def _subscribe(self, profile: QoSProfile | None = None) -> Any:
        return self._qos.subscription(self._topic, self._take, self._name, profile=profile, on_lost=self._count_lost)

    def _subscribe_again(self, reliability: ReliabilityPolicy) -> None:
        """On the executor's thread, where no other callback runs."""
        before = self._subscription
        profile = before.qos_profile
        self._subscription = self._subscribe(
            QoSProfile(
                history=profile.history, depth=profile.depth, reliability=reliability, durability=profile.durability
            )
        )
        self._node.destroy_subscription(before)

    def _count_lost(self, event: Any) -> None:
        self._lost_events += int(event.total_count_change)

    def _take(self, message: Any) -> None:
        stamp = _stamp_ns(message)
        if stamp == IMPOSSIBLE_NS:
            self._rhythm.begin_anew()  # it came, but when it was due is not known
        else:
            self._rhythm.add(stamp)
        self._on_image(message, stamp)

    def _is_reliable(self) -> bool:
        return bool(self._subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE)

    def _hint(self) -> str:
        """Topics with images, where there are any."""
        found = [
            name
            for name, types in self._node.get_topic_names_and_types()
            if self._topic.type_name in types
            and not name.startswith(f"{self._node.get_namespace().rstrip('/')}/{self._node.get_name()}/")
            and self._node.count_publishers(name)
        ]
        shown = ", ".join(found[:NAMES_SHOWN]) + (" ..." if len(found) > NAMES_SHOWN else "")
        return f"; images are published on {shown}" if found else ""


def _stamp_ns(message: Any) -> int:
    try:
        return read_stamp_ns(message.header.stamp)
    except StampError:
        return IMPOSSIBLE_NS
