"""Cameras over a real graph: compressed images, names, QoS, several at once, and time that jumps."""

import time

import numpy as np
import pytest
from graph import BEST_EFFORT, RELIABLE, duration, graph, scene, stamp_of, time_of
from node_process import REAL_NODE
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from samlite_ros.messages.fill import RCLPY, image_message
from samlite_ros.msg import QueryStatus, Segmentation

KEYFRAMES = {"propagate": False, "queries": ["red thing"]}


def red_pixels(answer):
    return [round(instance.box.center.position.x) for instance in answer.instances]


def test_compressed_images_below_the_resolved_name():
    """One remapping of `image` serves both transports."""
    options = {
        "parameters": {**KEYFRAMES, "image_transport": "compressed"},
        "remappings": {"image": "/front/camera/color"},
    }
    with graph(**options) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.stream_until(
            scene("red", size=(96, 128)),
            lambda: answers and answers[-1].instances,
            "answer",
            topic="/front/camera/color/compressed",
        )
        assert red_pixels(answers[-1]) == [pytest.approx(10, abs=2)]


def test_two_cameras_are_answered_apart():
    parameters = {"propagate": False, "cameras": ["left", "right"]}
    with graph(parameters=parameters) as (client, _):
        left = client.listen("/samlite/left/segmentation", Segmentation, RELIABLE)
        right = client.listen("/samlite/right/segmentation", Segmentation, RELIABLE)
        client.query("both", "red thing")
        client.query("one", "blue thing", cameras=["right"])
        client.wait_until_active("both")
        client.wait_until_active("one")
        client.stream_until(scene("red"), lambda: left and left[-1].results, "left answer", topic="/left/image")
        client.stream_until(
            scene("gray", "blue"), lambda: right and right[-1].results, "right answer", topic="/right/image"
        )
        assert (left[-1].camera, right[-1].camera) == ("left", "right")
        assert [r.query_id for r in left[-1].results] == ["both"]
        assert sorted(r.query_id for r in right[-1].results) == ["both", "one"]
        assert [m.query_id for i in left[-1].instances for m in i.matches] == ["both"]
        assert [m.query_id for i in right[-1].instances for m in i.matches] == ["one"]
        client.stream_until(
            scene("gray", "blue"),
            lambda: client.statuses["planner", "one"].outcome == QueryStatus.FOUND,
            "status",
            topic="/right/image",
        )
        assert client.statuses["planner", "one"].last_seen_camera == "right"


@pytest.mark.parametrize("qos", [BEST_EFFORT, RELIABLE], ids=["best effort", "reliable"])
def test_cameras_of_either_reliability_are_heard(qos):
    with graph(parameters=KEYFRAMES) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.publisher("/image", Image, qos)
        client.stream_until(scene("red"), lambda: answers and answers[-1].instances, "answer")


def test_qos_of_the_camera_can_be_overridden_and_a_mismatch_is_named():
    overrides = {"qos_overrides./image.subscription.reliability": "reliable"}
    with graph(parameters={**KEYFRAMES, **overrides}) as (client, _):
        publisher = client.node.create_publisher(Image, "/image", BEST_EFFORT)
        # The middleware tells names after endpoints, so the first diagnostics may not know whose topic it is.
        named = lambda status, _: status.level == status.ERROR and "/client" in status.message  # noqa: E731
        status = client.wait_for_diagnostic("node", named)
        assert "/image" in status.message
        assert "RELIABILITY" in status.message
        client.node.destroy_publisher(publisher)
        client.wait_for_diagnostic("node", lambda status, _: status.level == status.OK)


def test_a_listener_whose_qos_does_not_fit_is_named():
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with graph(parameters=KEYFRAMES) as (client, _):
        client.listen("/samlite/segmentation", Segmentation, latched)
        status = client.wait_for_diagnostic("node", lambda status, _: status.level == status.ERROR)
        assert "/samlite/segmentation" in status.message
        assert "DURABILITY" in status.message


@pytest.mark.parametrize("stamp_ns", [0, -5_000_000_000], ids=["no stamp", "negative"])
def test_images_without_a_stamp_are_answered_with_the_time_of_their_arrival(stamp_ns):
    with graph(parameters=KEYFRAMES) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        publisher = client.publisher("/image", Image, RELIABLE)
        message = image_message(RCLPY, scene("red"), "rgb8", stamp_ns, "optical")
        before_ns = time.time_ns()
        client.act_until(lambda: publisher.publish(message), lambda: len(answers) > 2, "answers")
        stamps = [before_ns, *(stamp_of(answer.header.stamp) for answer in answers), time.time_ns()]
        assert stamps == sorted(set(stamps))
        assert red_pixels(answers[-1]) == [pytest.approx(10, abs=2)]
        warned = client.diagnostic("camera", lambda status, _: "carry no stamp" in status.message)
        assert client.act_until(lambda: publisher.publish(message), warned, "warning").level == b"\x01"


def test_without_stamp_and_clock_there_is_no_time_to_answer_with():
    with graph(parameters={**KEYFRAMES, "use_sim_time": True}) as (client, _):
        client.listen_to_outputs("segmentation")
        publisher = client.publisher("/image", Image, RELIABLE)
        message = image_message(RCLPY, scene("red"), "rgb8", 0, "optical")
        named = client.diagnostic("camera", lambda status, _: status.level == status.ERROR)
        assert "/clock" in client.act_until(lambda: publisher.publish(message), named, "diagnosis").message


def test_images_are_missed_after_a_while():
    with graph(parameters={**KEYFRAMES, "image_timeout": 0.5}) as (client, _):
        status = client.wait_for_diagnostic("camera", lambda status, _: status.level == status.WARN)
        assert "no image for" in status.message


def test_a_bag_that_loops_is_answered_again_at_once():
    with graph(parameters={"queries": ["red thing"]}) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.stream_until(scene("red"), lambda: answers and answers[-1].instances, "answer")
        start_ns = 500_000_000_000
        client.restart_stamps(start_ns)

        def answered_again():  # the answer to a frame from before the jump may still be on its way
            return stamp_of(answers[-1].header.stamp) < 10**12 and answers[-1].instances

        client.stream_until(scene("red"), answered_again, "answer after the jump")
        assert start_ns <= stamp_of(answers[-1].keyframe_stamp) <= stamp_of(answers[-1].header.stamp)
        client.wait_for_diagnostic("camera", lambda _, values: values["flushes"] == "1")


def test_on_simulated_time_lifetimes_follow_the_clock():
    with graph(parameters={**KEYFRAMES, "use_sim_time": True}) as (client, _):
        clock = client.publisher("/clock", Clock, RELIABLE)

        def tick(second):
            return lambda: clock.publish(Clock(clock=time_of(second * 10**9)))

        client.act_until(tick(100), lambda: client.status_time_ns() >= 100 * 10**9, "the clock to be heard")
        client.query("q", "red thing", lifetime=duration(5))
        expires_ns = stamp_of(client.wait_until_active("q").expires)
        assert expires_ns == 105 * 10**9
        client.act_until(tick(20), lambda: client.status_time_ns() < 100 * 10**9, "the clock to go back")
        assert stamp_of(client.statuses["planner", "q"].expires) == 25 * 10**9
        client.act_until(
            tick(25), lambda: client.statuses["planner", "q"].state == QueryStatus.EXPIRED, "the query to expire"
        )


def test_the_real_network_answers_over_the_graph():
    """The demo checkpoint from a process of its own; what it finds is the segmenter's tests' affair."""
    with graph(REAL_NODE, parameters={"queries": ["red ball"]}) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        picture = np.full((480, 640, 3), 90, np.uint8)
        client.stream_until(picture, lambda: answers and stamp_of(answers[-1].keyframe_stamp), "answer", timeout_s=120)
        assert answers[-1].model_id == "demo"
        (result,) = answers[-1].results
        assert 0.0 <= result.presence <= 1.0
