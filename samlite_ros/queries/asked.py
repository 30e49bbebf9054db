"""Something that a client asked for at one moment."""

from __future__ import annotations

from typing import NamedTuple

from samlite_ros.queries.registry import QueryRegistry
from samlite_ros.queries.requests import QueryRequest


class Asked(NamedTuple):
    """Something that one client asked for at one moment.

    Args:
        at_ns: When, on the clock of the frames' stamps [ns].
        requests: What.
        replaces_set_of: The client whose whole set this is; None = single requests.
    """

    at_ns: int
    requests: tuple[QueryRequest, ...]
    replaces_set_of: str | None = None

    def apply(self, registry: QueryRegistry, now_ns: int) -> None:
        """Ask."""
        if self.replaces_set_of is not None:
            registry.replace_set(self.replaces_set_of, self.requests, now_ns)
            return
        for request in self.requests:
            registry.apply(request, now_ns)
