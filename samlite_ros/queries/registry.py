"""The standing queries: who asked for what, since when, for how long, and what came of it.

Pure Python without threads and without a clock: every call that depends on time takes `now_ns`, so that the node (on
its ROS clock) and the bag replayer (on a virtual one) share it. A clock that jumps back shifts what is left of
lifetimes and rests with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from samlite_ros.errors import PhraseTooLongError, QueryRejected
from samlite_ros.queries.class_ids import ClassIds
from samlite_ros.queries.hold_ups import HoldUps
from samlite_ros.queries.outcome import Finding, Outcome, SearchHistory
from samlite_ros.queries.requests import (
    Action,
    QueryOptions,
    QueryRequest,
    Refusal,
    prompt_of,
    text_requests,
    validate_request,
)
from samlite_ros.types import NO_STAMP, Prompt, Query, QueryKey, Segmentation, Vocabulary

TEXT_CLIENT, PARAMETER_CLIENT = "text", "parameters"
"""Clients of the queries that come as comma-separated text, and as the parameter `queries`."""
NO_CLASS_ID = 65535
"""Class id of a rejected query."""
ENDED_KEPT_NS = 10_000_000_000
"""Ended and rejected queries stay in the statuses for so long [ns]."""
MAX_ENDED = 2000
"""At most so many ended queries are kept; the oldest go first."""


class State(IntEnum):
    """Values of QueryStatus.state."""

    PENDING = 0
    ACTIVE = 1
    EXPIRED = 2
    REMOVED = 3
    REJECTED = 4


@dataclass(frozen=True)
class QueryStatus:
    """What became of one query: QueryStatus.msg."""

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


@dataclass
class _Standing:
    request: QueryRequest
    query: Query
    expires_ns: int
    history: SearchHistory


@dataclass
class _Ended:
    status: QueryStatus
    forget_ns: int


class QueryRegistry:
    """All standing queries of all clients.

    A query is PENDING until its prompt is embedded (`prompt_ready`), then ACTIVE. A refused
    replacement leaves the query of its name as it was; both have a status then, told apart by their request stamps.
    """

    def __init__(self, options: QueryOptions | None = None) -> None:
        self._options = options or QueryOptions()
        self._class_ids = ClassIds()
        self._standing: dict[QueryKey, _Standing] = {}
        self._ended: dict[QueryKey, _Ended] = {}
        self._ready: set[Prompt] = set()
        self._now_ns = 0
        self._hold_ups = HoldUps()
        self._vocabulary = Vocabulary()
        self.revision = 0
        """Grows with every change of a query's state or outcome."""

    @property
    def vocabulary(self) -> Vocabulary:
        """All standing queries; the same object until something changes."""
        return self._vocabulary

    @property
    def pending_prompts(self) -> tuple[Prompt, ...]:
        """Prompts that wait for their embedding, first asked first."""
        prompts = dict.fromkeys(s.query.prompt for s in self._standing.values())
        return tuple(prompt for prompt in prompts if prompt not in self._ready)

    def configure(self, options: QueryOptions) -> None:
        """Use other defaults, for standing queries too."""
        self._options = options
        for standing in self._standing.values():
            standing.query = self._to_query(standing.request, standing.query.prompt)
        self._changed()

    def apply(self, request: QueryRequest, now_ns: int) -> QueryStatus | None:
        """Add, replace, remove or clear.

        Returns:
            The status where the request was refused, else None.
        """
        self.advance(now_ns)
        try:
            self._apply(request)
        except QueryRejected as rejection:
            return self._reject(request, Refusal(rejection.reason), str(rejection))
        finally:
            self._changed()
        return None

    def replace_set(self, client: str, requests: Sequence[QueryRequest], now_ns: int) -> None:
        """Make these the client's queries: what is not among them is removed, what is the same goes on undisturbed."""
        self.advance(now_ns)
        named = [replace(request, key=QueryKey(client, request.key.id)) for request in requests]
        kept = {request.key for request in named}
        for key in [key for key in self._standing if key.client == client and key not in kept]:
            self._end(key, State.REMOVED)
        for request in named:
            self.apply(request, now_ns)
        self._changed()

    def replace_texts(self, client: str, texts: Iterable[str], now_ns: int) -> None:
        """Make these phrases the client's queries; see `text_requests`."""
        self.replace_set(client, text_requests(client, texts), now_ns)

    def prompt_ready(self, prompt: Prompt) -> None:
        """The prompt is embedded: its queries become ACTIVE."""
        if any(s.query.prompt == prompt for s in self._standing.values()):
            self._ready.add(prompt)
            self._changed()

    def prompt_failed(self, prompt: Prompt, reason: Refusal, message: str, now_ns: int) -> bool:
        """The prompt cannot be embedded: its queries are REJECTED; returns whether there were any."""
        self.advance(now_ns)
        rejected = [(k, s) for k, s in self._standing.items() if s.query.prompt == prompt]
        for key, standing in rejected:
            self._drop(key)
            self._reject(standing.request, reason, message)
        self._changed()
        return bool(rejected)

    def suspend(self) -> None:
        """The model is gone: every query is PENDING again."""
        self._ready.clear()
        self._changed()

    def hold_up(self, hold_ups: HoldUps) -> None:
        """Tell in the statuses, from now on, what keeps queries from being searched for."""
        if hold_ups != self._hold_ups:
            self._hold_ups = hold_ups
            self.revision += 1

    def advance(self, now_ns: int) -> None:
        """Let time pass: expire queries, forget ended ones. A clock that jumped back takes all deadlines with it."""
        if now_ns < self._now_ns:
            self._shift(now_ns - self._now_ns)
        self._now_ns = now_ns
        expired = [key for key, s in self._standing.items() if 0 < s.expires_ns <= now_ns]
        for key in expired:
            self._end(key, State.EXPIRED)
        forgotten = [key for key, ended in self._ended.items() if ended.forget_ns <= now_ns]
        for key in forgotten:
            del self._ended[key]
        if expired or forgotten:
            self._changed()

    def record(self, answer: Segmentation) -> None:
        """Count what an answered frame says about each query; results of queries that were replaced are ignored."""
        for result in answer.results:
            standing = self._standing.get(result.query.key)
            if standing is None or standing.query.prompt != result.query.prompt:
                continue
            if result.keyframe_stamp_ns == NO_STAMP or math.isnan(result.presence):
                continue
            before = self._outcome(standing)
            finding = Finding(result.keyframe_stamp_ns, result.presence, result.count > 0)
            standing.history.add(answer.camera, answer.stamp_ns, finding, self._options.hysteresis)
            if self._outcome(standing) != before:
                self.revision += 1

    def statuses(self) -> list[QueryStatus]:
        """Of every standing query in the order of acceptance, then of those ended in the last 10 s."""
        ended = [ended.status for ended in self._ended.values()]
        return [self._status(standing) for standing in self._standing.values()] + ended

    def _apply(self, request: QueryRequest) -> None:
        if request.action == Action.ADD:
            self._add(request)
        elif request.action == Action.REMOVE:
            if request.key not in self._standing:
                raise QueryRejected(Refusal.UNKNOWN_QUERY, f"client {request.key.client!r} has no {request.key.id!r}")
            self._end(request.key, State.REMOVED)
        elif request.action == Action.CLEAR:
            for key in [key for key in self._standing if key.client == request.key.client]:
                self._end(key, State.REMOVED)
        else:
            raise QueryRejected(Refusal.UNKNOWN_ACTION, f"action is {request.action}, must be 0, 1 or 2")

    def _add(self, request: QueryRequest) -> None:
        validate_request(request, self._options)
        before = self._standing.get(request.key)
        if before is None and len(self._standing) >= self._options.max_queries:
            raise QueryRejected(Refusal.TOO_MANY_QUERIES, f"there are {len(self._standing)} queries, the most allowed")
        prompt = prompt_of(request)
        self._class_ids.take(prompt, self._now_ns, Refusal.CLASS_IDS_EXHAUSTED)
        query = self._to_query(request, prompt)
        history = before.history if before and _same_search(before.query, query) else SearchHistory()
        expires_ns = self._now_ns + request.lifetime_ns if request.lifetime_ns else 0
        self._ended.pop(request.key, None)
        self._standing[request.key] = _Standing(request, query, expires_ns, history)
        if before is not None:
            self._release(before.query.prompt)

    def _to_query(self, request: QueryRequest, prompt: Prompt) -> Query:
        defaults = self._options
        return Query(
            key=request.key,
            prompt=prompt,
            class_id=self._class_ids[prompt],
            text=request.text,
            score_threshold=request.score_threshold or defaults.score_threshold,
            mask_threshold=request.mask_threshold or defaults.mask_threshold,
            max_instances=request.max_instances or defaults.max_instances,
            max_rate_hz=request.max_rate_hz,
            priority=request.priority,
            cameras=request.cameras,
        )

    def _end(self, key: QueryKey, state: State) -> None:
        status = replace(self._status(self._standing[key]), state=state)
        if state == State.REMOVED:  # one that expired may have waited in vain
            status = replace(status, message="")
        self._drop(key)
        self._keep_ended(status)

    def _drop(self, key: QueryKey) -> None:
        self._release(self._standing.pop(key).query.prompt)

    def _reject(self, request: QueryRequest, reason: Refusal, message: str) -> QueryStatus:
        status = QueryStatus(
            request.key, request.stamp_ns, request.text, State.REJECTED, reason=reason, message=message
        )
        self._keep_ended(status)
        return status

    def _keep_ended(self, status: QueryStatus) -> None:
        self._ended.pop(status.key, None)
        self._ended[status.key] = _Ended(status, self._now_ns + ENDED_KEPT_NS)
        if len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]

    def _release(self, prompt: Prompt) -> None:
        if not any(s.query.prompt == prompt for s in self._standing.values()):
            self._class_ids.release(prompt, self._now_ns)
            self._ready.discard(prompt)

    def _shift(self, delta_ns: int) -> None:
        self._class_ids.shift(delta_ns)
        for standing in self._standing.values():
            standing.expires_ns += delta_ns if standing.expires_ns else 0
        for ended in self._ended.values():
            ended.forget_ns += delta_ns

    def _outcome(self, standing: _Standing) -> Outcome:
        return standing.history.outcome(standing.query.cameras or self._options.cameras)

    def _status(self, standing: _Standing) -> QueryStatus:
        history, query = standing.history, standing.query
        return QueryStatus(
            key=query.key,
            request_stamp_ns=standing.request.stamp_ns,
            text=query.text,
            state=State.ACTIVE if query.prompt in self._ready else State.PENDING,
            outcome=self._outcome(standing),
            message=self._waits_for(standing),
            class_id=query.class_id,
            presence=history.presence,
            last_searched_ns=history.last_searched_ns,
            last_seen_ns=history.last_seen_ns,
            last_seen_camera=history.last_seen_camera,
            expires_ns=standing.expires_ns,
        )

    def _waits_for(self, standing: _Standing) -> str:
        """What an accepted query waits for; empty = nothing: it was searched, and is searched again."""
        query, history = standing.query, standing.history
        if self._hold_ups.node:
            return self._hold_ups.node
        if query.prompt not in self._ready:
            return "its text waits for the network"
        if held_up := self._hold_ups.of_cameras(query.cameras or self._options.cameras):
            return held_up
        if self._outcome(standing) != Outcome.UNKNOWN:
            return ""
        searched = history.last_searched_ns != NO_STAMP
        return "too few images were searched yet" if searched else "waits for a pass of the network"

    def _changed(self) -> None:
        self.revision += 1
        queries = [s.query for s in self._standing.values()]
        active = tuple(q for q in queries if q.prompt in self._ready)
        pending = tuple(q for q in queries if q.prompt not in self._ready)
        vocabulary = Vocabulary(self._class_ids.epoch, active, pending)
        if vocabulary != self._vocabulary:
            self._vocabulary = vocabulary


def _same_search(a: Query, b: Query) -> bool:
    """The history of one says the same of the other."""

    def searched(query: Query) -> tuple[object, ...]:
        return query.prompt, query.score_threshold, query.mask_threshold, query.cameras

    return searched(a) == searched(b)


def embed_pending(registry: QueryRegistry, embed: Callable[[Sequence[Prompt]], object], now_ns: int) -> None:
    """Embed every pending prompt at once and say so to the registry; for callers without a worker of their own.

    Args:
        registry: The registry.
        embed: `Segmenter.embed_prompts`.
        now_ns: The time [ns].
    """
    for prompt in registry.pending_prompts:
        try:
            embed([prompt])
        except PhraseTooLongError as error:
            registry.prompt_failed(prompt, Refusal.TEXT_TOO_LONG, str(error), now_ns)
        else:
            registry.prompt_ready(prompt)
