"""Cameras over a real graph: compressed images, names, QoS, several at once, and time that jumps."""

import re
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from graph import BEST_EFFORT, RELIABLE, duration, graph, scene, stamp_of, time_of
from node_process import REAL_NODE
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

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
    with graph(parameters={**KEYFRAMES, **overrides}) as (client, node):
        publisher = client.node.create_publisher(Image, "/image", BEST_EFFORT)
        # The middleware tells names after endpoints, so the first diagnostics may not know whose topic it is.
        named = lambda status, _: status.level == status.ERROR and "/client" in status.message  # noqa: E731
        status = client.wait_for_diagnostic("node", named)
        assert "/image" in status.message
        assert "RELIABILITY" in status.message
        client.wait_for_diagnostic("camera", lambda status, _: "QoS mismatch with /client" in status.message)
        assert node.log().count("does not fit that of /client") == 1
        client.node.destroy_publisher(publisher)
        client.wait_for_diagnostic("node", lambda status, _: status.level == status.OK)


def test_a_listener_whose_qos_does_not_fit_is_named():
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with graph(parameters=KEYFRAMES) as (client, _):
        client.listen("/samlite/segmentation", Segmentation, latched)
        status = client.wait_for_diagnostic("node", lambda status, _: status.level == status.ERROR)
        assert "/samlite/segmentation" in status.message
        assert "DURABILITY" in status.message


def test_images_without_a_stamp_are_answered_with_the_time_of_their_arrival():
    with graph(parameters=KEYFRAMES) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        publisher = client.publisher("/image", Image, RELIABLE)
        message = image_message(RCLPY, scene("red"), "rgb8", 0, "optical")
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


def test_what_is_listened_to_is_said_and_that_nobody_publishes_it():
    """Once a change of state on the console, and in the diagnostics as long as it lasts."""
    with graph(parameters={**KEYFRAMES, "image_timeout": 0.5}, remappings={"image": "/front/color"}) as (client, node):
        other = client.node.create_publisher(Image, "/frnt/color", RELIABLE)
        hinted = lambda status, _: status.level == status.WARN and "/frnt/color" in status.message  # noqa: E731
        status = client.wait_for_diagnostic("camera", hinted)
        assert re.match(r"no image for \d+\.\d s on /front/color: nobody publishes it", status.message)
        values = {v.key: v.value for v in status.values}
        assert (values["topic"], values["publishers"], values["reliability"]) == ("/front/color", "0", "best effort")
        client.node.destroy_publisher(other)
        publisher = client.node.create_publisher(Image, "/front/color", RELIABLE)
        silent = client.diagnostic("camera", lambda status, _: "1 publisher is there (/client)" in status.message)
        client.wait_for(silent, "other reason")
        well = client.diagnostic("camera", lambda status, _: status.level == status.OK)
        client.act_until(
            lambda: publisher.publish(image_message(RCLPY, scene("red"), "rgb8", client.next_stamp(), "optical")),
            well,
            "image",
        )
        log = node.log()
        for line in (
            "listens to /front/color (raw, best effort)",
            "nobody publishes it",
            "but nothing arrives",
            "images come as they should",
        ):
            assert log.count(line) == 1, log


def test_another_type_on_the_topic_is_named():
    with graph(parameters={**KEYFRAMES, "image_timeout": 0.5}) as (client, _):
        client.node.create_publisher(CompressedImage, "/image", RELIABLE)
        named = lambda status, _: "/client publishes sensor_msgs/msg/CompressedImage" in status.message  # noqa: E731
        client.wait_for_diagnostic("camera", named)


@pytest.mark.parametrize(("given", "ends"), [(None, "reliable"), ("best_effort", "best effort")])
def test_lost_images_are_counted_told_and_asked_for_again(given, ends):
    """Gaps in the stamps stand for losses, which DDS alone cannot be made to have; parameters come first."""
    overrides = {"qos_overrides./image.subscription.reliability": given} if given else {}
    with graph(parameters={**KEYFRAMES, **overrides}) as (client, node):
        publisher = client.publisher("/image", Image, RELIABLE)

        def publish(every=3):
            stamp_ns = client.next_stamp()
            if stamp_ns // 33_000_000 % every == 0:
                publisher.publish(image_message(RCLPY, scene("red"), "rgb8", stamp_ns, "optical"))

        heard = client.diagnostic("camera", lambda _, values: int(values["images received"]) >= 20)
        client.act_until(lambda: publish(1), heard, "images")
        warned = client.diagnostic("camera", lambda status, _: "are missing by their stamps" in status.message)
        status = client.act_until(lambda: [publish() for _ in range(6)], warned, "warning")
        assert status.level == status.WARN
        assert "config/fastdds.xml" in status.message and "image_transport:=compressed" in status.message
        client.wait_for_diagnostic("camera", lambda _, values: values["reliability"] == ends)
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.stream_until(scene("red"), lambda: answers and answers[-1].instances, "answer")
        told = [line for line in node.log().splitlines() if "are missing by their stamps" in line]
        assert len(told) == 1 and ("[WARN]" in told[0]) == bool(given), told
        assert ("lost parts are asked for again from now on" in told[0]) == (not given)


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


def test_two_nodes_tell_apart_what_is_theirs():
    with graph(parameters=KEYFRAMES, remappings={"__ns": "/robot1"}) as (client, _):
        arrays = client.listen("/diagnostics", DiagnosticArray, RELIABLE)
        client.wait_for(lambda: arrays, "diagnostics")
        names = {status.name for status in arrays[-1].status}
        assert names == {f"robot1/samlite: {part}" for part in ("node", "network", "camera", "positions")}
        assert {status.hardware_id for status in arrays[-1].status} == {"/robot1/samlite"}
