"""What the registry keeps books of: who asks for which prompt, and the queries that have ended."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from samlite_ros.queries.outcome import LastPlace, Outcome
from samlite_ros.queries.requests import Refusal
from samlite_ros.types import NO_STAMP, Prompt, QueryKey

NEVER = 1 << 62
"""Later than any time [ns]."""
NO_CLASS_ID = 65535
"""Class id of a rejected query."""


class State(IntEnum):
    """Values of QueryStatus.state."""

    PENDING = 0
    ACTIVE = 1
    EXPIRED = 2
    REMOVED = 3
    REJECTED = 4


@dataclass(frozen=True)
class QueryStatus:
    """What became of one query: QueryStatus.msg.

    `search_rate_hz` [Hz]; `wait_passes` is 0 where no query waits for its turn.
    """

    key: QueryKey
    request_stamp_ns: int
    text: str
    state: State
    outcome: Outcome = Outcome.UNKNOWN
    reason: Refusal = Refusal.NONE
    message: str = ""
    class_id: int = NO_CLASS_ID
    presence: float = math.nan
    last_searched_ns: int = NO_STAMP
    last_seen_ns: int = NO_STAMP
    last_seen_camera: str = ""
    expires_ns: int = 0
    last_place: LastPlace | None = None
    search_rate_hz: float = 0.0
    wait_passes: int = 0
    wait_s: float = 0.0


class AskedPrompts:
    """Counts who asks for which prompt; a client may ask for one in several queries."""

    def __init__(self) -> None:
        self._askers: Counter[Prompt] = Counter()
        self._by_client: defaultdict[str, Counter[Prompt]] = defaultdict(Counter)

    def __contains__(self, prompt: Prompt) -> bool:
        return prompt in self._askers

    def add(self, client: str, prompt: Prompt) -> None:
        """One more query of this client for this prompt."""
        self._askers[prompt] += 1
        self._by_client[client][prompt] += 1

    def remove(self, client: str, prompt: Prompt) -> None:
        """One less."""
        for counts in (self._askers, self._by_client[client]):
            counts[prompt] -= 1
            if not counts[prompt]:
                del counts[prompt]
        if not self._by_client[client]:
            del self._by_client[client]

    def prompts_of(self, client: str) -> int:
        """Number of different prompts that a client asks for."""
        return len(self._by_client.get(client, ()))

    def queries_of(self, client: str) -> int:
        """Number of a client's queries."""
        return self._by_client[client].total() if client in self._by_client else 0


class _Ended(NamedTuple):
    status: QueryStatus
    forget_ns: int


class EndedQueries:
    """Ended and rejected queries, for a while and up to a number; a client that fills them loses its own first.

    Args:
        most: Over all clients.
        most_of_client: Of one client.
    """

    def __init__(self, most: int, most_of_client: int) -> None:
        self._most, self._most_of_client = most, most_of_client
        self._by_client: defaultdict[str, dict[str, _Ended]] = defaultdict(dict)
        self._count = 0

    @property
    def next_ns(self) -> int:
        """When the first of them is forgotten [ns]: those of a client are in order."""
        return min((next(iter(ended.values())).forget_ns for ended in self._by_client.values()), default=NEVER)

    def keep(self, status: QueryStatus, forget_ns: int) -> None:
        """Keep one until a time [ns]; what ended under its name before is forgotten."""
        self.drop(status.key)
        mine = self._by_client[status.key.client]
        mine[status.key.id] = _Ended(status, forget_ns)
        self._count += 1
        if len(mine) > self._most_of_client:
            self.drop(next(iter(mine.values())).status.key)
        if self._count > self._most:
            fullest = max(self._by_client.values(), key=len)
            self.drop(next(iter(fullest.values())).status.key)

    def drop(self, key: QueryKey) -> None:
        """Forget one; nothing happens where it is not there."""
        mine = self._by_client.get(key.client)
        if mine is not None and mine.pop(key.id, None) is not None:
            self._count -= 1
            if not mine:
                del self._by_client[key.client]

    def forget(self, now_ns: int) -> bool:
        """Forget those whose time is over; returns whether there were any."""
        over = [e.status.key for ended in self._by_client.values() for e in ended.values() if e.forget_ns <= now_ns]
        for key in over:
            self.drop(key)
        return bool(over)

    def shift(self, delta_ns: int) -> None:
        """The clock was set."""
        for ended in self._by_client.values():
            for id, kept in ended.items():
                ended[id] = kept._replace(forget_ns=kept.forget_ns + delta_ns)

    def statuses(self) -> list[QueryStatus]:
        """All of them."""
        return [kept.status for ended in self._by_client.values() for kept in ended.values()]
