"""The standing queries: who asked for what, since when, for how long, and what came of it.

Pure Python without threads and without a clock: every call that depends on time takes `now_ns`, so that the node (on
its ROS clock) and the bag replayer (on a virtual one) share it. A clock that jumps back shifts what is left of
lifetimes and rests with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from samlite_ros.errors import QueryRejected, StampError
from samlite_ros.foreign.stamps import checked_ns
from samlite_ros.foreign.words import quoted
from samlite_ros.queries.books import NEVER, AskedPrompts, EndedQueries, QueryStatus, State
from samlite_ros.queries.class_ids import ClassIds
from samlite_ros.queries.hold_ups import HoldUps
from samlite_ros.queries.outcome import Finding, LastPlace, Outcome, SearchHistory
from samlite_ros.queries.requests import (
    Action,
    QueryOptions,
    QueryRequest,
    Refusal,
    check_name,
    prompt_of,
    text_requests,
    validate_request,
)
from samlite_ros.types import NO_STAMP, Place, Prompt, Query, QueryKey, Segmentation, Vocabulary

TEXT_CLIENT, PARAMETER_CLIENT = "text", "parameters"
"""Clients of the queries that come as comma-separated text, and as the parameter `queries`."""
ENDED_KEPT_NS = 10_000_000_000
"""Ended and rejected queries stay in the statuses for so long [ns]."""
MAX_ENDED, MAX_CLIENT_ENDED = 2000, 1000
"""So many ended queries are kept at most, and so many of one client; the oldest of the fullest client go first."""


@dataclass
class _Standing:
    request: QueryRequest
    query: Query
    expires_ns: int
    history: SearchHistory


class QueryRegistry:
    """All standing queries of all clients.

    A query is PENDING until its prompt is embedded (`prompt_ready`), then ACTIVE. A refused
    replacement leaves the query of its name as it was; both have a status then, told apart by their request stamps.
    """

    def __init__(self, options: QueryOptions | None = None) -> None:
        self._options = options or QueryOptions()
        self._class_ids = ClassIds()
        self._standing: dict[QueryKey, _Standing] = {}
        self._asking = AskedPrompts()
        self._ended = EndedQueries(MAX_ENDED, MAX_CLIENT_ENDED)
        self._due_ns = NEVER
        self._ready: set[Prompt] = set()
        self._now_ns = 0
        self._hold_ups = HoldUps()
        self._vocabulary = Vocabulary()
        self._pending: tuple[Prompt, ...] = ()
        self._is_stale = False
        self.revision = 0
        """Grows with every change of a query's state or outcome."""

    @property
    def vocabulary(self) -> Vocabulary:
        """All standing queries; the same object until something changes."""
        self._refresh()
        return self._vocabulary

    @property
    def pending_prompts(self) -> tuple[Prompt, ...]:
        """Prompts that wait for their embedding, first asked first."""
        self._refresh()
        return self._pending

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
        return self._try(request)

    def refuse(self, request: QueryRequest, reason: Refusal, message: str, now_ns: int) -> QueryStatus:
        """Refuse something that was not even read; nothing else changes."""
        self.advance(now_ns)
        self._changed()
        return self._reject(request, reason, message)

    @property
    def most_at_once(self) -> int:
        """Queries in one set."""
        return self._options.max_client_queries

    def refuse_set(self, client: str, count: int, now_ns: int) -> QueryStatus:
        """Refuse a set of more queries than a client may have; it need not have been read."""
        message = f"client {quoted(client)} asks {count:,} queries at once, at most {self.most_at_once} are read"
        return self.refuse(QueryRequest(QueryKey(client, "")), Refusal.TOO_MANY_QUERIES, message, now_ns)

    def replace_set(self, client: str, requests: Sequence[QueryRequest], now_ns: int) -> list[QueryStatus]:
        """Make these the client's queries: what is not among them is removed, what is the same goes on undisturbed.

        A set of more queries than a client may have is refused whole, and nothing changes.

        Returns:
            The status of each that was refused.
        """
        self.advance(now_ns)
        if len(requests) > self.most_at_once:
            return [self.refuse_set(client, len(requests), now_ns)]
        named = [replace(request, key=QueryKey(client, request.key.id)) for request in requests]
        kept = {request.key for request in named}
        for key in [key for key in self._standing if key.client == client and key not in kept]:
            self._end(key, State.REMOVED)
        self._changed()
        refused = [self._try(request) for request in named]
        return [status for status in refused if status is not None]

    def replace_texts(self, client: str, texts: Iterable[str], now_ns: int) -> list[QueryStatus]:
        """Make these phrases the client's queries; see `text_requests` and `replace_set`."""
        given = list(texts)
        if len(given) > self.most_at_once:  # before they are looked at
            self.advance(now_ns)
            return [self.refuse_set(client, len(given), now_ns)]
        return self.replace_set(client, text_requests(client, given), now_ns)

    def prompt_ready(self, prompt: Prompt) -> None:
        """The prompt is embedded: its queries become ACTIVE."""
        if prompt in self._asking:
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
        if now_ns < self._due_ns:
            return
        expired = [key for key, s in self._standing.items() if 0 < s.expires_ns <= now_ns]
        for key in expired:
            self._end(key, State.EXPIRED)
        if self._ended.forget(now_ns) or expired:
            self._changed()
        deadlines = [s.expires_ns for s in self._standing.values() if s.expires_ns]
        self._due_ns = min([*deadlines, self._ended.next_ns], default=NEVER)

    def record(self, answer: Segmentation) -> None:
        """Count what an answered frame says about each query; results of queries that were replaced are ignored."""
        for result in answer.results:
            standing = self._standing.get(result.query.key)
            if standing is None or standing.query.prompt != result.query.prompt:
                continue
            standing.history.note_turn(answer.camera, result.turn)
            if result.keyframe_stamp_ns == NO_STAMP or math.isnan(result.presence):
                continue
            before = self._outcome(standing)
            finding = Finding(result.keyframe_stamp_ns, result.presence, result.count > 0)
            standing.history.add(answer.camera, answer.stamp_ns, finding, self._options.hysteresis)
            if self._outcome(standing) != before:
                self.revision += 1

    def record_recall(self, camera: str, prompt: Prompt, stamp_ns: int, score: float) -> None:
        """A prompt was found in an older image [ns] with this score: nothing follows but when it was seen last."""
        for standing in self._standing.values():
            query = standing.query
            if query.prompt == prompt and score >= query.score_threshold and camera in (query.cameras or (camera,)):
                self.revision += standing.history.note_recall(camera, stamp_ns)

    def record_places(self, answer: Segmentation, places: Sequence[Place | None]) -> None:
        """Remember where things were seen; of several that answer one query the surest.

        Args:
            answer: The answer, surest first.
            places: One for each of its instances; None = not known.
        """
        found: dict[QueryKey, Place] = {}
        for instance, place in zip(answer.instances, places, strict=True):
            for match in instance.matches if place is not None else ():
                found.setdefault(match.query.key, place)  # type: ignore[arg-type]
        for key, place in found.items():
            if (standing := self._standing.get(key)) is not None:
                self.revision += standing.history.last_place is None
                standing.history.note_place(LastPlace.of(place))

    def statuses(self) -> list[QueryStatus]:
        """Of every standing query in the order of acceptance, then of those ended in the last 10 s."""
        return [self._status(standing) for standing in self._standing.values()] + self._ended.statuses()

    def _try(self, request: QueryRequest) -> QueryStatus | None:
        self._changed()
        try:
            self._apply(request)
        except QueryRejected as rejection:
            return self._reject(request, Refusal(rejection.reason), str(rejection))
        return None

    def _apply(self, request: QueryRequest) -> None:
        check_name(request)
        if request.action == Action.ADD:
            self._add(request)
        elif request.action == Action.REMOVE:
            client = request.key.client
            if request.key not in self._standing:
                raise QueryRejected(Refusal.UNKNOWN_QUERY, f"client {quoted(client)} has no {quoted(request.key.id)}")
            self._end(request.key, State.REMOVED)
        elif request.action == Action.CLEAR:
            for key in [key for key in self._standing if key.client == request.key.client]:
                self._end(key, State.REMOVED)
        else:
            raise QueryRejected(Refusal.UNKNOWN_ACTION, f"action is {request.action}, must be 0, 1 or 2")

    def _add(self, request: QueryRequest) -> None:
        validate_request(request, self._options)
        before = self._standing.get(request.key)
        client, prompt = request.key.client, prompt_of(request)
        if before is None:
            self._check_room(client)
        expires_ns = self._expiry(request)
        held = self._asking.prompts_of(client)
        self._class_ids.take(prompt, self._now_ns, client, held, self._options.max_client_class_ids)
        self._asking.add(client, prompt)
        query = self._to_query(request, prompt)
        history = before.history if before and _same_search(before.query, query) else SearchHistory()
        self._ended.drop(request.key)
        self._standing[request.key] = _Standing(request, query, expires_ns, history)
        self._due_ns = min(self._due_ns, expires_ns or NEVER)
        if before is not None:
            self._release(client, before.query.prompt)

    def _check_room(self, client: str) -> None:
        mine, most = self._asking.queries_of(client), self._options.max_client_queries
        if mine >= most:
            words = f"client {quoted(client)} has {mine} queries, its share of {self._options.max_queries}"
            raise QueryRejected(Refusal.TOO_MANY_QUERIES, words)
        if len(self._standing) >= self._options.max_queries:
            raise QueryRejected(Refusal.TOO_MANY_QUERIES, f"there are {len(self._standing)} queries, the most allowed")

    def _expiry(self, request: QueryRequest) -> int:
        """When it ends, on our clock [ns]; 0 = never."""
        if not request.lifetime_ns:
            return 0
        try:
            return checked_ns(self._now_ns + request.lifetime_ns, "the end of a lifetime")
        except StampError as error:
            raise QueryRejected(Refusal.BAD_LIFETIME, f"{error}; 0 = for ever") from error

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
        self._release(key.client, self._standing.pop(key).query.prompt)

    def _reject(self, request: QueryRequest, reason: Refusal, message: str) -> QueryStatus:
        kept = request.shortened()
        status = QueryStatus(kept.key, kept.stamp_ns, kept.text, State.REJECTED, reason=reason, message=message)
        self._keep_ended(status)
        return status

    def _keep_ended(self, status: QueryStatus) -> None:
        self._ended.keep(status, self._now_ns + ENDED_KEPT_NS)
        self._due_ns = min(self._due_ns, self._now_ns + ENDED_KEPT_NS)

    def _release(self, client: str, prompt: Prompt) -> None:
        self._asking.remove(client, prompt)
        if prompt not in self._asking:
            self._class_ids.release(prompt, self._now_ns, client)
            self._ready.discard(prompt)

    def _shift(self, delta_ns: int) -> None:
        self._class_ids.shift(delta_ns)
        for standing in self._standing.values():
            standing.expires_ns += delta_ns if standing.expires_ns else 0
        self._ended.shift(delta_ns)
        self._due_ns += delta_ns

    def _outcome(self, standing: _Standing) -> Outcome:
        return standing.history.outcome(standing.query.cameras or self._options.cameras)

    def _status(self, standing: _Standing) -> QueryStatus:
        history, query = standing.history, standing.query
        turn = history.turn
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
            last_place=history.last_place,
            search_rate_hz=history.rate_hz,
            wait_passes=turn.passes if turn else 0,
            wait_s=turn.wait_s if turn else 0.0,
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
        if history.turn is not None and history.turn.overload:
            return history.turn.overload
        if self._outcome(standing) != Outcome.UNKNOWN:
            return ""
        searched = history.last_searched_ns != NO_STAMP
        return "too few images were searched yet" if searched else "waits for a pass of the network"

    def _changed(self) -> None:
        """What is asked is gathered when somebody looks: many queries at once cost as much as one."""
        self.revision += 1
        self._is_stale = True

    def _refresh(self) -> None:
        if not self._is_stale:
            return
        self._is_stale = False
        queries = [s.query for s in self._standing.values()]
        active = tuple(q for q in queries if q.prompt in self._ready)
        pending = tuple(q for q in queries if q.prompt not in self._ready)
        self._pending = tuple(dict.fromkeys(q.prompt for q in pending))
        vocabulary = Vocabulary(self._class_ids.epoch, active, pending)
        if vocabulary != self._vocabulary:
            self._vocabulary = vocabulary


def _same_search(a: Query, b: Query) -> bool:
    """The history of one says the same of the other."""

    def searched(query: Query) -> tuple[object, ...]:
        return query.prompt, query.score_threshold, query.mask_threshold, query.cameras

    return searched(a) == searched(b)
