"""`samlite doctor` on a running graph."""

import pytest
from graph import BEST_EFFORT, RELIABLE, graph
from sensor_msgs.msg import CompressedImage, Image

from samlite_ros.doctor import Level
from samlite_ros.doctor.graph import check_clock_topic, check_graph, observing
from samlite_ros.doctor.passage import send_images
from samlite_ros.node.qos import endpoint_name


def told(findings, *words):
    return [f for f in findings if all(word in f.found for word in words)]


def peers_of(observer, topic):
    return [endpoint_name(info) for info in observer.node.get_publishers_info_by_topic(topic)]


def test_a_running_node_and_a_camera_of_another_type():
    with graph() as (client, _), observing(0.0) as observer:
        client.node.create_publisher(CompressedImage, "/image", RELIABLE)
        client.wait_for_diagnostic("node", lambda *_: True)
        observer.spin(30.0, lambda: peers_of(observer, "/image") == ["/client"])
        observer.spin(10.0, lambda: observer.statuses("/samlite") and "/samlite" in observer.samlite_nodes())
        findings = check_graph(observer)
    assert told(findings, "/samlite is there and answers")[0].level is Level.OK
    assert told(findings, "samlite: node: ")[0].level is Level.OK
    assert told(findings, "samlite: camera")
    (wrong_type,) = told(findings, "/image: /client does not reach /samlite")
    assert wrong_type.level is Level.ERROR
    assert "sensor_msgs/msg/CompressedImage is not sensor_msgs/msg/Image" in wrong_type.found


def test_qos_that_does_not_fit_and_a_camera_that_is_not_there():
    options = {"qos_overrides./image.subscription.reliability": "reliable"}
    with graph(parameters=options) as (client, _), observing(0.0) as observer:
        client.wait_for_diagnostic("node", lambda *_: True)
        observer.spin(
            30.0, lambda: "/samlite" in observer.samlite_nodes() and observer.node.count_subscribers("/image")
        )
        (silent,) = told(check_graph(observer), "/image: /samlite listens, nobody publishes")
        assert silent.level is Level.WARN
        client.node.create_publisher(Image, "/image", BEST_EFFORT)
        observer.spin(30.0, lambda: peers_of(observer, "/image") == ["/client"])  # the name comes after the endpoint
        (misfit,) = told(check_graph(observer), "/image: /client does not reach /samlite")
        assert misfit.level is Level.ERROR
        assert "reliab" in misfit.found.lower()


def test_an_empty_graph_is_no_fault():
    class Empty:
        def samlite_nodes(self):
            return []

    (finding,) = check_graph(Empty())
    assert finding.level is Level.OK


@pytest.mark.parametrize(
    ("sim_time", "clocks", "level"),
    [(True, 0, "ERROR"), (False, 1, "WARN"), (True, 2, "ERROR"), (True, 1, "OK"), (False, 0, "OK")],
)
def test_whose_time_it_is(sim_time, clocks, level):
    (finding,) = check_clock_topic("/samlite", sim_time, clocks)
    assert finding.level.name == level


def test_a_node_that_hangs_is_told(monkeypatch):
    class Hanging:
        def samlite_nodes(self):
            return ["/samlite"]

        def parameter(self, name, parameter):
            return False, None

    (finding,) = check_graph(Hanging())
    assert finding.level is Level.ERROR
    assert "does not answer" in finding.found


def test_images_pass_between_two_participants():
    sent, came = send_images(3)
    assert sent == 3
    assert came > 0
