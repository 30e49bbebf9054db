"""A bond with Nav2's lifecycle manager: heartbeats while the node is active; needs the package `bond`.

The protocol is bondcpp's: both sides publish bond/msg/Status on one topic with the bond's id, here the node's name, and
an instance's id of their own; `active` false says that the bond ends, and is said until the other side says so too.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any
from uuid import uuid4

from samlite_ros.messages.fill import RCLPY, message_class, time_message
from samlite_ros.messages.topics import BOND
from samlite_ros.node.qos import QosWatch

HEARTBEAT_TIMEOUT_S = 4.0
"""After so long without ours the manager takes the node for dead, and we the manager; bondcpp's default [s]."""
FAREWELL_S = 2.0
"""The end of a bond is said for so long at most [s]."""


class _Phase(Enum):
    NONE = auto()
    FORMED = auto()
    ENDING = auto()


class Bond:
    """Used from the executor's thread.

    Args:
        make: Makes publisher and subscription.
        node_name: Last part of the node's name, by which the manager knows the bond.
        period_s: Between two heartbeats [s]; 0 = there is no bond.
        now_ns: The node's clock [ns].
        say, warn: Write a line of the log.
    """

    def __init__(
        self,
        make: QosWatch,
        node_name: str,
        period_s: float,
        now_ns: Callable[[], int],
        say: Callable[[str], object],
        warn: Callable[[str], object],
    ) -> None:
        self._name, self._period_s, self._now_ns, self._warn = node_name, period_s, now_ns, warn
        self._publisher: Any = None
        self._phase, self._instance = _Phase.NONE, ""
        self._due_s = self._until_s = 0.0
        self._heard_s: float | None = None
        self._heard = False
        if period_s > 0:
            try:
                message_class(BOND.type_name)
            except ImportError:
                say("no bond with a lifecycle manager: the package bond is not installed (Nav2: bond_timeout: 0.0)")
                return
            self._publisher = make.publisher(BOND)
            make.subscription(BOND, self._on_status)

    def form(self, now_s: float) -> None:
        """The node is active: heartbeats from now on."""
        self._phase, self._instance = _Phase.FORMED, str(uuid4())
        self._due_s, self._heard_s, self._heard = now_s, None, False

    def end(self, now_s: float) -> None:
        """The node is active no more: say so until the manager does too."""
        if self._phase is _Phase.FORMED:
            self._phase, self._due_s, self._until_s = _Phase.ENDING, now_s, now_s + FAREWELL_S

    def beat(self, now_s: float) -> None:
        """Send what is due at this moment of the steady clock [s]; to be called several times a second."""
        if self._publisher is None or self._phase is _Phase.NONE:
            return
        if self._phase is _Phase.ENDING and now_s > self._until_s:
            self._phase = _Phase.NONE
            return
        self._listen(now_s)
        if now_s >= self._due_s:
            self._due_s = now_s + self._period_s
            self._publisher.publish(self._status())

    def _listen(self, now_s: float) -> None:
        if self._heard:
            self._heard, self._heard_s = False, now_s
        elif self._heard_s is not None and now_s - self._heard_s > HEARTBEAT_TIMEOUT_S:
            self._heard_s = None
            self._warn(f"the lifecycle manager's bond is silent for {HEARTBEAT_TIMEOUT_S:g} s; the node goes on")

    def _status(self) -> Any:
        status = message_class(BOND.type_name)(
            id=self._name,
            instance_id=self._instance,
            active=self._phase is _Phase.FORMED,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_S,
            heartbeat_period=self._period_s,
        )
        status.header.stamp = time_message(RCLPY, self._now_ns())
        return status

    def _on_status(self, status: Any) -> None:
        """Of all bonds on the topic: the other side of ours."""
        if status.id != self._name or status.instance_id == self._instance:
            return
        self._heard = True
        if not status.active and self._phase is _Phase.ENDING:
            self._publisher.publish(self._status())
            self._phase = _Phase.NONE
