"""Mismatched peers are told while they are there, also those that the graph learns of late."""

from types import SimpleNamespace

import pytest
from rclpy.duration import Duration, Infinite
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy

from samlite_ros.messages.topics import Qos, Topic
from samlite_ros.node.qos import LOOKS_FOR_UNKNOWN, QosWatch, misfit

RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Graph:
    """A node's view of the graph: `peers` are the other side's endpoints; `report` is the middleware's event."""

    def __init__(self) -> None:
        self.peers = []

    def create_subscription(self, kind, topic, callback, profile, event_callbacks, **options):
        self._callbacks = event_callbacks
        return SimpleNamespace(topic_name=topic, qos_profile=profile)

    def get_publishers_info_by_topic(self, topic):
        return self.peers

    def report(self) -> None:
        self._callbacks.incompatible_qos(SimpleNamespace(last_policy_kind=QoSPolicyKind.RELIABILITY))


def endpoint(name: str, profile: QoSProfile) -> SimpleNamespace:
    return SimpleNamespace(node_namespace="/", node_name=name, qos_profile=profile)


@pytest.fixture
def graph():
    return Graph()


@pytest.fixture
def watch(graph):
    found = QosWatch(graph)
    topic = Topic(name="/image", type_name="std_msgs/msg/String", qos=Qos(1), meaning="")
    found.subscription(topic, lambda message: None)
    return found


def test_a_peer_that_the_graph_learns_of_after_the_event_is_told(graph, watch):
    graph.report()
    assert watch.mismatches() == []
    graph.peers = [endpoint("camera", BEST_EFFORT)]
    (line,) = watch.mismatches()
    assert line.startswith("/image: QoS policy RELIABILITY does not fit that of /camera: ")


def test_a_peer_that_left_is_told_no_more(graph, watch):
    graph.peers = [endpoint("camera", BEST_EFFORT), endpoint("other", RELIABLE)]
    graph.report()
    assert len(watch.mismatches()) == 1
    graph.peers = [endpoint("other", RELIABLE)]
    assert watch.mismatches() == []
    graph.peers = [endpoint("camera", BEST_EFFORT)]
    assert watch.mismatches() == [], "without a new event nothing is wrong"


def test_a_peer_that_never_shows_is_not_looked_for_for_ever(graph, watch):
    graph.report()
    for _ in range(LOOKS_FOR_UNKNOWN):
        assert watch.mismatches() == []
    graph.peers = [endpoint("camera", BEST_EFFORT)]
    assert watch.mismatches() == []


def test_a_peer_of_endless_durations_fits_one_that_leaves_them_open(graph, watch):
    """The graph tells of 2^63 - 1 ns where a profile says nothing."""
    endless = QoSProfile(depth=1, deadline=Infinite, lifespan=Infinite, liveliness_lease_duration=Infinite)
    assert misfit(QoSProfile(depth=1), endless) == "" == misfit(endless, QoSProfile(depth=1))
    late = QoSProfile(depth=1, deadline=Duration(seconds=1))
    assert "deadline" in misfit(QoSProfile(depth=1), late) and misfit(late, QoSProfile(depth=1)) == ""
    assert misfit(late, QoSProfile(depth=1, deadline=Duration(seconds=2))) == ""
