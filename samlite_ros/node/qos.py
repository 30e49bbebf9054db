"""Quality of service: the profiles of our topics, what each side of a topic is offered, and where they do not fit.

The names of QoS events differ between ROS 2 distributions; this module is the only one that knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError


def _profile(depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


CAMERA = _profile(1, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
"""Best effort reads every camera; depth 1 keeps no stale frame."""
QUERY = _profile(1000, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
"""A burst must survive a busy executor."""
QUERY_SET = _profile(100, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
RESULT = _profile(5, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
PICTURE = _profile(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
"""RViz asks for reliable; best-effort readers match too."""
LATCHED = _profile(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)


LOOKS_FOR_UNKNOWN = 10
"""So many times a mismatched peer is looked for that the graph does not know: its endpoint may be told after the event,
or it has left already."""


@dataclass
class _Suspect:
    """A topic on which the middleware reported a mismatch.

    Args:
        is_publisher: Our side publishes.
        ours: QoS of our side.
        policy: Name of the policy that does not fit.
        looks_left: How often to look for a peer that was not found yet; 0 = it was found.
    """

    is_publisher: bool
    ours: QoSProfile
    policy: str
    looks_left: int = LOOKS_FOR_UNKNOWN


class QosWatch:
    """Makes publishers and subscriptions, and knows which of their topics have a peer that cannot hear or be heard."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._suspects: dict[str, _Suspect] = {}  # by topic

    def publisher(self, kind: type, topic: str, profile: QoSProfile, *, overridable: bool = False) -> Any:
        """A publisher; `overridable`: its QoS can be set by parameters `qos_overrides.<topic>.publisher.*`."""
        entity: Any = None

        def create(callbacks: PublisherEventCallbacks | None) -> Any:
            return self._node.create_publisher(
                kind, topic, profile, event_callbacks=callbacks, qos_overriding_options=_overriding(overridable)
            )

        events = PublisherEventCallbacks(incompatible_qos=lambda event: self._suspect(entity, True, event))
        entity = _create_with_events(create, events)
        return entity

    def subscription(
        self, kind: type, topic: str, callback: Callable[[Any], None], profile: QoSProfile, *, overridable: bool = False
    ) -> Any:
        """A subscription; see `publisher`."""
        entity: Any = None

        def create(callbacks: SubscriptionEventCallbacks | None) -> Any:
            return self._node.create_subscription(
                kind,
                topic,
                callback,
                profile,
                event_callbacks=callbacks,
                qos_overriding_options=_overriding(overridable),
            )

        events = SubscriptionEventCallbacks(incompatible_qos=lambda event: self._suspect(entity, False, event))
        entity = _create_with_events(create, events)
        return entity

    def mismatches(self) -> list[str]:
        """A line for each peer that exchanges nothing with us now: topic, node, policy. To be called now and then."""
        lines = []
        for topic, suspect in list(self._suspects.items()):
            found = self._incompatible_peers(topic, suspect)
            lines += [f"{topic}: QoS policy {suspect.policy} does not fit that of {peer}: {why}" for peer, why in found]
            suspect.looks_left = 0 if found else suspect.looks_left - 1
            if not found and suspect.looks_left <= 0:
                del self._suspects[topic]
        return lines

    def _suspect(self, entity: Any, is_publisher: bool, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        self._suspects[entity.topic_name] = _Suspect(is_publisher, entity.qos_profile, policy)

    def _incompatible_peers(self, topic: str, suspect: _Suspect) -> list[tuple[str, str]]:
        """Name and reason of each peer on the other side of the topic."""
        node, ours = self._node, suspect.ours
        peers = node.get_subscriptions_info_by_topic if suspect.is_publisher else node.get_publishers_info_by_topic
        found = []
        for info in peers(topic):
            pair = (ours, info.qos_profile) if suspect.is_publisher else (info.qos_profile, ours)
            compatibility, why = qos_check_compatible(*pair)
            if compatibility == QoSCompatibility.ERROR:
                found.append((f"{info.node_namespace.rstrip('/')}/{info.node_name}", why.strip()))
        return found


def _overriding(overridable: bool) -> QoSOverridingOptions | None:
    return QoSOverridingOptions.with_default_policies() if overridable else None


def _create_with_events(create: Callable[[Any], Any], events: Any) -> Any:
    """Some middlewares have no such events: then do without, and without the diagnosis."""
    try:
        return create(events)
    except UnsupportedEventTypeError:
        return create(None)
