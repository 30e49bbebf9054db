"""A planner's side of the topics: ask, learn what became of it, get the answers; see examples/ask.py. Needs rclpy."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import rclpy
from geometry_msgs.msg import PointStamped
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription

from samlite_ros.msg import InstanceMask, QueryResult, QuerySet, QueryStatus, QueryStatusArray, Segmentation, TextQuery

_NS_PER_S = 1_000_000_000
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_ANSWERS = QoSProfile(depth=5)
_KEPT_ANSWERS, _KEPT_ENDED = 32, 1000
_SLICE_S = 0.1
"""Waits are cut into pieces of this length [s], between which Python notices an interrupt."""
_SILENCE_S = 5.0
"""The node tells statuses at least once a second; after so long without [s] they count no more."""
_FAREWELL_S = 1.0
"""So long a client that leaves waits until the node has its last word [s]."""


class Verdict(Enum):
    """What became of a query."""

    UNKNOWN = "not known yet"
    FOUND = "seen in the latest searches"
    NOT_FOUND = "looked for, and not there"
    REJECTED = "refused by the node"
    EXPIRED = "ended: its lifetime is over"
    REMOVED = "ended: withdrawn"


@dataclass(frozen=True)
class QueryOutcome:
    """What the node says of a query.

    Args:
        verdict: In a word.
        reason: Why it is UNKNOWN or REJECTED, or is not searched any more, in words; empty = nothing is in its way.
        presence: Probability that the thing is in the image at all, 0 to 1; NaN = not searched.
        last_seen_ns: Stamp of the newest image it was found in [ns]; 0 = never.
        last_seen_camera: Camera of that image; empty = never, or there is only one.
        class_id: Its value in label images; 65535 = none.
        last_place: Where it was seen last in space [m], frame and stamp in its header; None = never.
    """

    verdict: Verdict
    reason: str = ""
    presence: float = float("nan")
    last_seen_ns: int = 0
    last_seen_camera: str = ""
    class_id: int = 65535
    last_place: PointStamped | None = None

    def __str__(self) -> str:
        stands = ", no search at present" if self.verdict in _SEARCHED.values() else ""
        return f"{self.verdict.name}{stands}: {self.reason}" if self.reason else self.verdict.name


@dataclass(frozen=True)
class _Ask:
    """A standing question as it was asked.

    Args:
        message: As part of a QuerySet; its stamp tells it from what was asked under its id before.
        ends_ns: End of its lifetime on our clock [ns]; 0 = never.
    """

    message: TextQuery
    ends_ns: int


class PlannerClient:
    """Asks one samlite node in the name of one client. A context manager: at its end all queries are withdrawn.

    All queries of the client travel as one latched QuerySet, so that a node that starts later, or again, finds them.
    There is no thread: what comes is taken in while the node is spun, by the caller's executor or by the methods that
    wait. Those must not be called from a callback of that executor, nor while another thread spins it; `outcome` and
    `on_answer` never wait.

    Args:
        client: Whose queries these are. Whoever uses the same name replaces them.
        node: An rclpy node to use; it is left as it is. None = one is made, and rclpy is initialised where it is not:
            then Ctrl-C raises KeyboardInterrupt, so that the queries can be withdrawn.
        samlite: Full name of the samlite node.
        cameras: Cameras whose answers are wanted; '' is the one without a name.
    """

    def __init__(
        self, client: str, node: Node | None = None, samlite: str = "/samlite", cameras: Sequence[str] = ("",)
    ) -> None:
        self.client, self.samlite, self.cameras = client, samlite, tuple(cameras)
        self._is_own_node = node is None
        self.node = _new_node() if node is None else node
        self._executor = SingleThreadedExecutor(context=self.node.context)
        self._asks: dict[str, _Ask] = {}
        self._ended: dict[str, QueryOutcome] = {}
        self._statuses, self._heard_s = QueryStatusArray(), 0.0
        self._answers: deque[Segmentation] = deque(maxlen=_KEPT_ANSWERS)
        self._callbacks: list[Callable[[Segmentation], None]] = []
        self._newest_ns = 0
        self._subscriptions: dict[str, Subscription] = {}
        self._queries = self.node.create_publisher(QuerySet, f"{samlite}/query_set", _LATCHED)
        self._status_topic = self._subscribe(QueryStatusArray, f"{samlite}/query_status", self._on_statuses, _LATCHED)

    def ask(
        self,
        text: str,
        id: str = "",
        *,
        score_threshold: float = 0.0,
        mask_threshold: float = 0.0,
        max_instances: int = 0,
        lifetime_s: float = 0.0,
        max_rate_hz: float = 0.0,
        priority: int = 0,
        cameras: Sequence[str] = (),
    ) -> str:
        """Ask where something is, from now on; a query of the same id is replaced. Whether it is taken: see `outcome`.

        Args:
            text: A short noun phrase, e.g. 'red ball'.
            id: Names the query; empty = its text.
            score_threshold: Least score of an instance, 0 to 1; 0 = the node's default.
            mask_threshold: Least probability of a pixel inside a mask, 0 to 1; 0 = the node's default.
            max_instances: Most instances per frame; 0 = the node's default.
            lifetime_s: Until it expires [s]; 0 = for ever.
            max_rate_hz: At most so many searches a second [Hz]; 0 = every keyframe.
            priority: Higher is searched first, -128 to 127.
            cameras: Cameras to search; empty = all.

        Returns:
            Its id.

        Raises:
            ValueError: A number does not fit into its field of TextQuery.
        """
        message = TextQuery(
            id=id or text,
            text=text,
            score_threshold=float(score_threshold),
            mask_threshold=float(mask_threshold),
            max_instances=int(_within("max_instances", max_instances, 0, 65535)),
            max_rate=float(max_rate_hz),
            priority=int(_within("priority", priority, -128, 127)),
            cameras=list(cameras),
        )
        lifetime_ns = round(_within("lifetime_s", lifetime_s, 0, 2**31 - 1) * _NS_PER_S)
        ends_ns = self._now_ns() + lifetime_ns if lifetime_ns else 0
        self._asks[message.id] = _Ask(self._stamped(message), ends_ns)
        self._publish()
        return str(message.id)

    def replace(self, phrases: Mapping[str, str]) -> None:
        """Ask for these and nothing else, in one message; what is asked already goes on undisturbed.

        Args:
            phrases: Text by id.
        """
        for id in [id for id in self._asks if id not in phrases]:
            self._end(id, QueryOutcome(Verdict.REMOVED))
        for id, text in phrases.items():
            if id not in self._asks or self._asks[id].message.text != text:
                self._asks[id] = _Ask(self._stamped(TextQuery(id=id, text=text)), 0)
        self._publish()

    def withdraw(self, id: str) -> None:
        """Ask no longer. Nothing happens where nothing is asked under this id."""
        if id in self._asks:
            self._end(id, QueryOutcome(Verdict.REMOVED))
            self._publish()

    def withdraw_all(self) -> None:
        """Ask nothing any more."""
        for id in tuple(self._asks):
            self._end(id, QueryOutcome(Verdict.REMOVED))
        self._publish()

    @property
    def statuses(self) -> QueryStatusArray:
        """What the node said last of all queries, those of other clients and those just ended too; empty = nothing."""
        return self._statuses

    def outcome(self, id: str) -> QueryOutcome:
        """What is known of a query now; does not wait.

        Raises:
            KeyError: Nothing was ever asked under this id.
        """
        if id not in self._asks and id not in self._ended:
            raise KeyError(f"nothing was asked under the id {id!r} by this client, or long ago")
        if id not in self._asks:
            return self._ended[id]
        if not self.node.count_publishers(self._status_topic):
            self._statuses = QueryStatusArray()
            return QueryOutcome(Verdict.UNKNOWN, f"no node {self.samlite} is there")
        silent_s = time.monotonic() - self._heard_s
        if self._statuses.queries and silent_s > _SILENCE_S:  # one that has ended stays in the graph for a while
            return QueryOutcome(Verdict.UNKNOWN, f"nothing was heard of the node for {silent_s:.0f} s")
        stamp = self._asks[id].message.header.stamp
        for status in self._statuses.queries:
            if (status.client, status.id, status.request_stamp) == (self.client, id, stamp):
                return _to_outcome(status)
        return QueryOutcome(Verdict.UNKNOWN, "the node has not told of it yet")

    def wait_for_outcome(self, id: str, timeout_s: float) -> QueryOutcome:
        """Spin until it is known what became of a query.

        Args:
            id: The query.
            timeout_s: Longest wait [s].

        Returns:
            UNKNOWN, with the reason, where the time was too short.

        Raises:
            KeyError: Nothing was ever asked under this id.
        """
        self._listen()  # the node searches only while somebody listens
        self.spin_until(lambda: self.outcome(id).verdict is not Verdict.UNKNOWN, timeout_s)
        return self.outcome(id)

    def on_answer(self, callback: Callable[[Segmentation], None]) -> None:
        """Have every answer brought, from the node's executor; see `answers` for what is in it."""
        self._listen()
        self._callbacks.append(callback)

    def answers(self, timeout_s: float | None = None) -> Iterator[Segmentation]:
        """Spin, and hand out every answer to this client's queries, until ROS is shut down.

        An answer has the results and the instances of this client's queries only, and comes for each frame from which
        such a query was answered, also where nothing was found. Indices of the instance image do not count in it. Of
        answers that are not taken the newest 32 are kept.

        Args:
            timeout_s: The iteration ends when no answer came for so long [s]; None = never.
        """
        self._listen()
        while self.spin_until(lambda: self._answers, timeout_s):
            yield self._answers.popleft()

    def spin_until(self, condition: Callable[[], object], timeout_s: float | None) -> bool:
        """Spin until a condition holds.

        Args:
            condition: Looked at before the first wait, and after everything that comes.
            timeout_s: Longest wait [s]; None = for ever.

        Returns:
            Whether it holds; False where the time was over or ROS was shut down.
        """
        end_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        while not condition():
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not self._spin_once(min(left_s, _SLICE_S)):
                return False
        return True

    def close(self) -> None:
        """Withdraw all queries and leave the graph; a node that was given stays."""
        if self.node.context.ok():
            self.withdraw_all()
            self._queries.wait_for_all_acked(Duration(seconds=_FAREWELL_S))
        for subscription in self._subscriptions.values():
            self.node.destroy_subscription(subscription)
        self.node.destroy_publisher(self._queries)
        self._executor.shutdown()
        if self._is_own_node:
            self.node.destroy_node()
            rclpy.try_shutdown(context=self.node.context)

    def __enter__(self) -> PlannerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _now_ns(self) -> int:
        return int(self.node.get_clock().now().nanoseconds)

    def _stamped(self, query: TextQuery) -> TextQuery:
        """With the time of asking: no two are equal, also where the clock stands still."""
        self._newest_ns = max(self._now_ns(), self._newest_ns + 1)
        query.header.stamp.sec, query.header.stamp.nanosec = divmod(self._newest_ns, _NS_PER_S)
        return query

    def _publish(self) -> None:
        """Send all that is asked. The node counts lifetimes anew from each set: it gets what is left of them."""
        now_ns = self._now_ns()
        for id in [id for id, ask in self._asks.items() if 0 < ask.ends_ns <= now_ns]:
            self._end(id, QueryOutcome(Verdict.EXPIRED))
        for ask in self._asks.values():
            if ask.ends_ns:
                lifetime = ask.message.lifetime
                lifetime.sec, lifetime.nanosec = divmod(ask.ends_ns - now_ns, _NS_PER_S)
        self._queries.publish(QuerySet(client=self.client, queries=[ask.message for ask in self._asks.values()]))

    def _end(self, id: str, outcome: QueryOutcome) -> None:
        del self._asks[id]
        self._ended.pop(id, None)
        self._ended[id] = outcome
        if len(self._ended) > _KEPT_ENDED:
            del self._ended[next(iter(self._ended))]

    def _subscribe(self, kind: type, topic: str, callback: Callable[..., None], qos: QoSProfile) -> str:
        """Once; returns the topic's name in the graph."""
        if topic not in self._subscriptions:
            self._subscriptions[topic] = self.node.create_subscription(kind, topic, callback, qos)
        return str(self._subscriptions[topic].topic_name)

    def _listen(self) -> None:
        """Subscribe to the answers, without which the node does not search."""
        for camera in self.cameras:
            prefix = f"{self.samlite}/{camera}" if camera else self.samlite
            self._subscribe(Segmentation, f"{prefix}/segmentation", self._on_answer, _ANSWERS)

    def _spin_once(self, timeout_s: float) -> bool:
        """Let the node's executor, or else ours, do one thing; False where ROS is shut down."""
        executor = self.node.executor
        if executor is None or self.node not in executor.get_nodes():
            self._executor.add_node(self.node)
            executor = self._executor
        try:
            executor.spin_once(timeout_sec=timeout_s)
        except ExternalShutdownException:
            return False
        return bool(self.node.context.ok())

    def _on_statuses(self, message: QueryStatusArray) -> None:
        self._statuses, self._heard_s = message, time.monotonic()
        for status in message.queries:
            asked = self._asks.get(status.id)
            is_over = status.state > QueryStatus.ACTIVE and status.client == self.client
            if is_over and asked is not None and status.request_stamp == asked.message.header.stamp:
                self._end(status.id, _to_outcome(status))

    def _on_answer(self, message: Segmentation) -> None:
        message.results = [result for result in message.results if result.client == self.client]
        if not message.results:
            return
        for instance in message.instances:
            instance.matches = [match for match in instance.matches if match.client == self.client]
        message.instances = [instance for instance in message.instances if instance.matches]
        self._answers.append(message)
        for callback in self._callbacks:
            callback(message)


def things_of(answer: Segmentation, id: str) -> list[InstanceMask]:
    """The instances in an answer that match the query of this id, highest confidence first."""
    return [thing for thing in answer.instances if any(match.query_id == id for match in thing.matches)]


def result_of(answer: Segmentation, id: str) -> QueryResult | None:
    """What became of the query of this id in an answer, found or not; None = the answer is from before it was asked."""
    return next((result for result in answer.results if result.query_id == id), None)


def _within(name: str, value: float, least: int, most: int) -> float:
    """rclpy would cut off what its field cannot hold."""
    if not least <= value <= most:
        raise ValueError(f"{name} must be {least} to {most}, got {value}")
    return value


def _new_node() -> Node:
    """A node of our own, without a signal handler: Ctrl-C stays Python's."""
    context = Context()
    rclpy.init(context=context)
    return rclpy.create_node("samlite_client", context=context)


_VERDICTS = {
    QueryStatus.REJECTED: Verdict.REJECTED,
    QueryStatus.EXPIRED: Verdict.EXPIRED,
    QueryStatus.REMOVED: Verdict.REMOVED,
}
_SEARCHED = {QueryStatus.FOUND: Verdict.FOUND, QueryStatus.NOT_FOUND: Verdict.NOT_FOUND}


def _to_outcome(status: QueryStatus) -> QueryOutcome:
    verdict = _VERDICTS.get(status.state) or _SEARCHED.get(status.outcome, Verdict.UNKNOWN)
    seen, place = status.last_seen, status.last_place if status.last_place != PointStamped() else None
    seen_ns = seen.sec * _NS_PER_S + seen.nanosec
    return QueryOutcome(
        verdict, status.message, status.presence, seen_ns, status.last_seen_camera, status.class_id, place
    )
