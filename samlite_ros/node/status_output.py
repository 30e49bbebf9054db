"""Tells what became of the queries: when something changed, and now and then; used from the executor's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from samlite_ros.messages.fill import RCLPY, query_status_array_message
from samlite_ros.queries import QueryRegistry

STATUS_REFRESH_S = 1.0
"""Presence and stamps in ~/query_status are at most so old [s]; states and outcomes at most a tick."""
STATUS_DUTY = 0.1
"""Largest share of the time spent with telling statuses: with 1,000 queries they are told less often."""


class StatusOutput:
    """Publishes ~/query_status.

    Args:
        publisher: Of the topic.
        registry: Of the queries.
        now_ns: The node's clock [ns].
    """

    def __init__(self, publisher: Any, registry: QueryRegistry, now_ns: Callable[[], int]) -> None:
        self._publisher, self._registry, self._now_ns = publisher, registry, now_ns
        self._told_revision = -1
        self._due_s = self._refresh_s = 0.0

    def tell(self, now_s: float) -> None:
        """Publish them if they are due at this moment of the steady clock [s]."""
        changed = self._registry.revision != self._told_revision
        if now_s < self._due_s or (not changed and now_s < self._refresh_s):
            return
        epoch, statuses = self._registry.vocabulary.epoch, self._registry.statuses()
        self._publisher.publish(query_status_array_message(RCLPY, statuses, epoch, self._now_ns()))
        self._told_revision = self._registry.revision
        took_s = time.monotonic() - now_s
        self._due_s = now_s + took_s / STATUS_DUTY
        self._refresh_s = now_s + max(STATUS_REFRESH_S, took_s / STATUS_DUTY)
