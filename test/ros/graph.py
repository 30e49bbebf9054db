"""A real graph for tests: the node, and a client that publishes, collects and waits.

Every wait is for an event and has a deadline. Each test gets a domain of its own, so that tests can run side by side.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node_process import DEADLINE_S, FAKE_NODE, NodeProcess, graph_environment, own_domain
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from vision_msgs.msg import Detection2DArray, LabelInfo

from samlite_ros.client import PlannerClient
from samlite_ros.messages.fill import RCLPY, compressed_image_message, image_message, time_message
from samlite_ros.msg import QueryStatus, QueryStatusArray, Segmentation, TextQuery

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RELIABLE = QoSProfile(depth=50)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "shutdown": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}
OUTPUTS = {
    "segmentation": (Segmentation, RELIABLE),
    "detections": (Detection2DArray, RELIABLE),
    "label_info": (LabelInfo, LATCHED),
    "label_image": (Image, RELIABLE),
    "confidence": (Image, RELIABLE),
    "instance_image": (Image, RELIABLE),
    "overlay": (Image, RELIABLE),
    "overlay/compressed": (CompressedImage, RELIABLE),
}


class Client:
    """A planner, a camera and a listener in one; spins only while it waits."""

    def __init__(self, domain: int, camera: str = "") -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("client", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received: dict[str, list[Any]] = {}
        self._prefix = f"/samlite/{camera}/" if camera else "/samlite/"
        self._publishers: dict[str, Any] = {}
        self._stamp_ns = 0
        self._planners: dict[str, PlannerClient] = {}
        self._planner = self.planner("planner")

    def close(self) -> None:
        """Leave the graph."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def planner(self, client: str) -> PlannerClient:
        """The client of this name; withdraws nothing at the end."""
        if client not in self._planners:
            self._planners[client] = PlannerClient(client, self.node)
        return self._planners[client]

    @property
    def told(self) -> QueryStatusArray:
        """What the node said last of all queries."""
        return self._planner.statuses

    @property
    def statuses(self) -> dict[tuple[str, str], QueryStatus]:
        """The newest status of each query, by client and id."""
        return {(status.client, status.id): status for status in self.told.queries}

    def seen(self) -> str:
        """What a failed test's report needs: the messages that came, and what the node says of itself now."""
        lines = [f"{topic}: {len(messages)} messages came" for topic, messages in self.received.items()]
        lines += [f"{topic}: {p.get_subscription_count()} subscribers" for topic, p in self._publishers.items()]
        self.received.pop("/diagnostics", None)
        with suppress(AssertionError):
            self.wait_for(self.diagnostic("", lambda *_: False), "", timeout_s=3.0)
        for array in self.received["/diagnostics"][-1:]:
            for status in array.status:
                values = ", ".join(f"{v.key}={v.value}" for v in status.values)
                lines.append(f"{status.name}: {status.message}; {values}")
        return "\n".join(["", *lines, ""])

    def wait_for(self, condition: Callable[[], Any], what: str, timeout_s: float = DEADLINE_S) -> Any:
        """Spin until the condition holds; returns its value.

        Raises:
            AssertionError: It did not hold in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while not (value := condition()):
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"no {what} within {timeout_s} s"
            self.executor.spin_once(timeout_sec=min(left_s, 0.05))
        return value

    def listen(
        self, topic: str, kind: type, qos: QoSProfile, callback: Callable[[Any], None] | None = None
    ) -> list[Any]:
        """Collect what comes on a topic."""
        messages = self.received.setdefault(topic, [])
        self.node.create_subscription(kind, topic, callback or messages.append, qos)
        return messages

    def stop_listening(self, topic: str) -> None:
        """Whoever of us subscribes to a topic does no more."""
        for subscription in list(self.node.subscriptions):
            if subscription.topic_name == topic:
                self.node.destroy_subscription(subscription)

    def listen_to_outputs(self, *names: str) -> dict[str, list[Any]]:
        """Collect outputs of the node (all without names); waits until the node sees us."""
        collected = {name: self.listen(self._prefix + name, *OUTPUTS[name]) for name in names or OUTPUTS}
        for name in collected:
            self._wait_for_publisher(self._prefix + name)
        return collected

    def _wait_for_publisher(self, topic: str) -> None:
        self.wait_for(lambda: self.node.count_publishers(topic), f"publisher of {topic}")

    def publisher(self, topic: str, kind: type, qos: QoSProfile) -> Any:
        """A publisher that somebody subscribes to."""
        if topic not in self._publishers:
            publisher = self.node.create_publisher(kind, topic, qos)
            self.wait_for(publisher.get_subscription_count, f"subscriber of {topic}")
            self._publishers[topic] = publisher
        return self._publishers[topic]

    def send_image(self, rgb: np.ndarray, frame_id: str = "optical", topic: str = "/image") -> int:
        """Publish an RGB image, as JPEG on a topic below /compressed; returns its stamp [ns], 33 ms after the last."""
        stamp_ns = self.next_stamp()
        if topic.endswith("/compressed"):
            message, kind = compressed_image_message(RCLPY, rgb, 95, stamp_ns, frame_id), CompressedImage
        else:
            message, kind = image_message(RCLPY, rgb, "rgb8", stamp_ns, frame_id), Image
        self.publisher(topic, kind, RELIABLE).publish(message)
        return stamp_ns

    def restart_stamps(self, stamp_ns: int) -> None:
        """The next image has this stamp [ns]."""
        self._stamp_ns = stamp_ns - 33_000_000

    def next_stamp(self) -> int:
        """A stamp 33 ms after the last one [ns]."""
        self._stamp_ns = self._stamp_ns + 33_000_000 if self._stamp_ns else 1_000_000_000_000
        return self._stamp_ns

    def query(self, id: str, text: str = "", client: str = "planner", **fields: Any) -> None:
        """Publish a TextQuery."""
        message = TextQuery(client=client, id=id, text=text, **fields)
        self._query_publisher().publish(message)

    def _query_publisher(self) -> Any:
        """We see the node's subscription before it sees us: what is published in between is lost."""
        is_new = "/samlite/query" not in self._publishers
        publisher = self.publisher("/samlite/query", TextQuery, QoSProfile(depth=1000))
        if is_new:
            probe = TextQuery(client="probe", id="probe", action=TextQuery.REMOVE)
            self.act_until(lambda: publisher.publish(probe), lambda: ("probe", "probe") in self.statuses, "connection")
        return publisher

    def act_until(self, act: Callable[[], Any], condition: Callable[[], Any], what: str) -> Any:
        """Do something again and again, five times a second, until a condition holds; returns its value."""
        due_s = [0.0]

        def act_and_look() -> Any:
            if time.monotonic() >= due_s[0]:
                act()
                due_s[0] = time.monotonic() + 0.2
            return condition()

        return self.wait_for(act_and_look, what)

    def wait_until_queries_are_read(self) -> None:
        """Wait until the node has read every query published so far: it answers them in order."""
        marker = f"marker {time.monotonic_ns()}"
        self.query(marker, action=TextQuery.REMOVE)
        self.wait_for_status(marker, reason=QueryStatus.REASON_UNKNOWN_QUERY)

    def query_text(self, text: str) -> None:
        """Publish comma-separated phrases."""
        is_new = "/samlite/query_text" not in self._publishers
        publisher = self.publisher("/samlite/query_text", String, RELIABLE)
        if is_new:
            self.act_until(
                lambda: publisher.publish(String(data="probe")),
                lambda: ("text", "probe") in self.statuses,
                "connection",
            )
        publisher.publish(String(data=text))

    def query_set(self, client: str, **phrases: str) -> None:
        """Make these a client's queries, by the latched set that its `PlannerClient` publishes."""
        self.planner(client).replace(phrases)

    def status_time_ns(self) -> int:
        """The node's clock, as the newest statuses tell it [ns]."""
        return stamp_of(self.told.header.stamp)

    def wait_for_status(
        self, id: str, client: str = "planner", timeout_s: float = DEADLINE_S, **fields: Any
    ) -> QueryStatus:
        """Wait until a query's status has these fields."""

        def found() -> QueryStatus | None:
            status = self.statuses.get((client, id))
            if status is not None and all(getattr(status, name) == value for name, value in fields.items()):
                return status
            return None

        try:
            return self.wait_for(found, f"status of {client}/{id} with {fields}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the last was {self.statuses.get((client, id))}") from None

    def wait_until_active(self, id: str, client: str = "planner") -> QueryStatus:
        """Wait until a query is searched for."""
        return self.wait_for_status(id, client, state=QueryStatus.ACTIVE)

    def stream_until(
        self,
        rgb: np.ndarray | Iterator[np.ndarray],
        condition: Callable[[], Any],
        what: str,
        timeout_s: float = DEADLINE_S,
        **options: Any,
    ) -> Any:
        """Publish an image or a film, with growing stamps, 30 times a second until a condition holds; gives it."""
        due_s = [0.0]

        def send_and_look() -> Any:
            if time.monotonic() >= due_s[0]:
                self.send_image(rgb if isinstance(rgb, np.ndarray) else next(rgb), **options)
                due_s[0] = time.monotonic() + 1 / 30
            self.executor.spin_once(timeout_sec=0.005)
            return condition()

        return self.wait_for(send_and_look, what, timeout_s)

    def answer_to(self, rgb: np.ndarray, segmentations: list[Segmentation], **options: Any) -> Segmentation:
        """Publish an image until an answer rests on searches of this very scene; returns the answer."""
        first_ns = self._stamp_ns + 1

        def answered() -> Segmentation | None:
            for message in reversed(segmentations):
                stamps = [stamp_of(result.keyframe_stamp) for result in message.results]
                if stamps and min(stamps) >= first_ns:
                    return message
            return None

        return self.stream_until(rgb, answered, "answer", **options)

    def change_state(self, transition: str, timeout_s: float = DEADLINE_S) -> bool:
        """Ask for a transition; returns whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))
        return bool(self.call(ChangeState, "/samlite/change_state", request, timeout_s).success)

    def state(self) -> str:
        """The node's lifecycle state."""
        return str(self.call(GetState, "/samlite/get_state", GetState.Request()).current_state.label)

    def set_parameter(self, name: str, value: Any) -> str:
        """Set a parameter; returns the reason of a refusal, empty = accepted."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        (result,) = self.call(SetParameters, "/samlite/set_parameters", request).results
        assert result.successful == (not result.reason)
        return str(result.reason)

    def call(self, kind: Any, service: str, request: Any, timeout_s: float = DEADLINE_S) -> Any:
        """Call a service."""
        client = self.node.create_client(kind, service)
        self.wait_for(client.service_is_ready, f"service {service}")
        future = client.call_async(request)
        self.wait_for(future.done, f"answer of {service}", timeout_s)
        self.node.destroy_client(client)
        return future.result()

    def wait_for_diagnostic(self, name: str, holds: Callable[[Any, dict[str, str]], Any]) -> Any:
        """Wait until a status of /diagnostics holds; `holds` gets the status and its values."""
        return self.wait_for(self.diagnostic(name, holds), f"diagnostic of {name}")

    def diagnostic(self, name: str, holds: Callable[[Any, dict[str, str]], Any]) -> Callable[[], Any]:
        """A condition to wait for: the newest status of this name holds; it is the condition's value."""
        if "/diagnostics" not in self.received:
            self.listen("/diagnostics", DiagnosticArray, RELIABLE)
        arrays = self.received["/diagnostics"]

        def found() -> Any:
            for status in arrays[-1].status if arrays else ():
                if status.name == f"samlite: {name}" and holds(status, {v.key: v.value for v in status.values}):
                    return status
            return None

        return found


@contextmanager
def graph(command=None, *, camera: str = "", **options: Any) -> Iterator[tuple[Client, NodeProcess]]:
    """A client and the node, in a domain of their own."""
    # The domain is given back at the end, so no later test of this process may find it in its environment.
    with own_domain() as domain, patch.dict(os.environ, graph_environment(domain)):
        node = NodeProcess(command or FAKE_NODE, domain, **options)
        client = Client(domain, camera)
        try:
            yield client, node
        except BaseException:
            sys.stderr.write(node.log())
            sys.stderr.write(client.seen())
            raise
        finally:
            client.close()
            node.close()


def stamp_of(time: Any) -> int:
    """Stamp [ns] of a Time message."""
    return time.sec * 10**9 + time.nanosec


def time_of(stamp_ns: int) -> Any:
    """Time message of a stamp [ns]."""
    return time_message(RCLPY, stamp_ns)


def duration(seconds: int) -> Any:
    """Duration message."""
    return Duration(sec=seconds)


def scene(*colors: str, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Gray image with a square of each colour, 12 px wide, side by side; "gray" leaves a place free."""
    image = np.full((*size, 3), 60, np.uint8)
    for i, color in enumerate(colors):
        x = 4 + 20 * i
        if color != "gray":
            image[10:22, x : x + 12] = 20
            image[10:22, x : x + 12, ("red", "green", "blue").index(color)] = 220
    return image
