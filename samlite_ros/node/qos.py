"""Publishers and subscriptions of our topics: their quality of service, and where it does not fit the other side's.

The names of QoS events differ between ROS 2 distributions; this module is the only one that knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from rclpy.duration import Duration
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

from samlite_ros.messages.fill import message_class
from samlite_ros.messages.topics import Qos, Topic
from samlite_ros.node.parameter_server import given_parameters

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError


ENDLESS_NS = 9_223_372_036 * 10**9
"""As long as this, and longer, is for ever: 2^63 - 1 ns, which some middlewares round to seconds."""
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

    def publisher(self, topic: Topic, camera: str = "") -> Any:
        """A publisher of a topic, or of one camera's."""
        entity: Any = None

        def create(callbacks: PublisherEventCallbacks | None) -> Any:
            return self._node.create_publisher(
                message_class(topic.type_name),
                topic.of(camera),
                profile_of(topic.qos),
                event_callbacks=callbacks,
                qos_overriding_options=_overriding(topic.qos),
            )

        events = PublisherEventCallbacks(incompatible_qos=lambda event: self._suspect(entity, True, event))
        entity = _create_with_events(create, [events])
        return entity

    def subscription(
        self,
        topic: Topic,
        callback: Callable[[Any], None],
        name: str = "",
        *,
        profile: QoSProfile | None = None,
        on_lost: Callable[[Any], None] | None = None,
        raw: bool = False,
    ) -> Any:
        """A subscription to a topic.

        Args:
            topic: The topic.
            callback: Takes each message.
            name: Another name of it; empty = its own.
            profile: Instead of what its QoS and the parameters say.
            on_lost: Called with the middleware's event where messages were lost on the way, where it tells.
            raw: The callback takes the message's bytes, and looks at them before anything is made of them.

        Raises:
            ParameterError: A parameter `qos_overrides...` has a value that there is not.
        """
        entity: Any = None

        def create(callbacks: SubscriptionEventCallbacks | None) -> Any:
            return self._node.create_subscription(
                message_class(topic.type_name),
                name or topic.of(),
                callback,
                profile or profile_of(topic.qos),
                event_callbacks=callbacks,
                raw=raw,
                qos_overriding_options=None if profile else _overriding(topic.qos),
            )

        def told(**lost: Any) -> SubscriptionEventCallbacks:
            return SubscriptionEventCallbacks(incompatible_qos=lambda e: self._suspect(entity, False, e), **lost)

        entity = _create_with_events(create, [told(message_lost=on_lost), told()] if on_lost else [told()])
        return entity

    def is_overridden(self, topic: str, policy: str) -> bool:
        """The parameters say what the subscription to this topic asks for in this policy."""
        return f"qos_overrides.{topic}.subscription.{policy}" in given_parameters(self._node)

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
            if why := misfit(*pair):
                found.append((endpoint_name(info), why))
        return found


def profile_of(qos: Qos) -> QoSProfile:
    """The same in rclpy's classes."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=qos.depth,
        reliability=ReliabilityPolicy.RELIABLE if qos.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if qos.latched else DurabilityPolicy.VOLATILE,
    )


def misfit(publisher: QoSProfile, subscription: QoSProfile) -> str:
    """Why two sides exchange nothing; empty = they fit."""
    compatibility, why = qos_check_compatible(_comparable(publisher), _comparable(subscription))
    return why.strip() if compatibility == QoSCompatibility.ERROR else ""


def _comparable(profile: QoSProfile) -> QoSProfile:
    """The graph tells of endless durations what profiles leave open; compared with that they would seem to misfit."""
    plain = copy(profile)
    for name in ("lifespan", "deadline", "liveliness_lease_duration"):
        if getattr(plain, name).nanoseconds >= ENDLESS_NS:
            setattr(plain, name, Duration())
    return plain


def _overriding(qos: Qos) -> QoSOverridingOptions | None:
    return QoSOverridingOptions.with_default_policies() if qos.overridable else None


def endpoint_name(info: Any) -> str:
    """Full name of the node that an endpoint of the graph belongs to."""
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _create_with_events(create: Callable[[Any], Any], choices: Sequence[Any]) -> Any:
    """Some middlewares lack some events: then do without these, and without their diagnosis."""
    for events in choices:
        try:
            return create(events)
        except UnsupportedEventTypeError:
            continue
    return create(None)
