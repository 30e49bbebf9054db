"""What peers and clocks do to a running node: it is told, costs no more than it must, and is over when it ends."""

import pytest
from builtin_interfaces.msg import Time
from graph import RELIABLE, graph, scene, time_of
from node_process import FAKE_NODE
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from samlite_ros.msg import Segmentation

KEYFRAMES = {"propagate": False, "queries": ["red thing"]}
OK, WARN, ERROR = b"\x00", b"\x01", b"\x02"


@pytest.fixture(scope="module")
def running():
    with graph(parameters={"queries": ["red thing"]}) as (client, node):
        client.answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.wait_until_active("red thing", "parameters")
        yield client, node


def test_images_of_two_sizes_in_turn_are_never_well(running):
    client, node = running
    small, large = scene("red"), scene("red", size=(96, 128))

    def both():
        while True:
            yield small
            yield large

    told = client.diagnostic("camera", lambda status, _: status.level == WARN and "different sizes" in status.message)
    client.stream_until(both(), told, "warning")
    well = client.diagnostic("camera", lambda status, _: status.level == OK)
    client.stream_until(small, well, "end of the warning", 5.0)
    assert client.answer_to(small, client.answers).instances
    assert "Traceback" not in node.log()


def test_only_the_subscriber_that_cannot_be_heard_is_named_and_only_while_it_is_there(running):
    client, _ = running
    strict = QoSProfile(depth=5, deadline=Duration(seconds=0.1))
    subscription = client.node.create_subscription(Segmentation, "/samlite/segmentation", lambda _: None, strict)
    named = client.wait_for_diagnostic("node", lambda status, _: status.level == ERROR)
    assert named.message.count("does not fit") == 1, "the other subscriber of this topic is innocent"
    client.node.destroy_subscription(subscription)
    client.wait_for(client.diagnostic("node", lambda status, _: status.level == OK), "end of the alarm", 5.0)


def test_accounting_is_exact_without_carried_masks():
    environment = {"FAKE_BLOCKS": "4", "FAKE_BLOCK_S": "0.05"}
    with graph(environment=environment, parameters=KEYFRAMES) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.stream_until(scene("red"), lambda: len(answers) > 5, "answers")

        def accounted(_, values):
            fates = [int(v) for k, v in values.items() if k.startswith("images ") and k.partition(" ")[2] in FATES]
            assert len(fates) == len(FATES)
            return sum(fates) + int(values["images at work"]) == int(values["images received"]) > 20

        client.wait_for_diagnostic("camera", accounted)


FATES = (
    *("answered", "dropped for newer ones", "not wanted", "rejected", "repeated", "deactivated", "failed"),
    *("superseded", "forgotten", "unanswered"),
)


@pytest.mark.parametrize("seconds", [-1, pytest.param(-(2**31), marks=pytest.mark.acceptance)])
def test_a_negative_clock_is_told_and_ends_nothing(seconds):
    with graph(FAKE_NODE, parameters={**KEYFRAMES, "use_sim_time": True}) as (client, node):
        clock = client.publisher("/clock", Clock, RELIABLE)
        told = client.diagnostic("node", lambda status, values: int(values["callbacks failed"]) > 2)
        client.act_until(lambda: clock.publish(Clock(clock=Time(sec=seconds))), told, "diagnosis")
        assert told().level == ERROR
        assert node.log().count("a callback: ") <= 2, "at most one line a second"
        client.act_until(
            lambda: clock.publish(Clock(clock=time_of(100 * 10**9))),
            lambda: client.status_time_ns() >= 100 * 10**9,
            "the clock to be heard",
        )
        client.wait_for(client.diagnostic("node", lambda status, _: status.level == OK), "end of it", 5.0)
        assert client.state() == "active"


def test_a_locked_node_is_changed_by_nobody():
    with graph(parameters={**KEYFRAMES, "read_only": True}) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.wait_until_active("red thing", "parameters")
        for name, value in [
            ("score_threshold", 0.9),
            ("queries", ["other"]),
            ("read_only", False),
            ("use_sim_time", True),
        ]:
            assert "read_only" in client.set_parameter(name, value)
        for transition in ("deactivate", "cleanup", "configure", "shutdown"):
            assert not client.change_state(transition)
        assert client.state() == "active"
        assert client.answer_to(scene("red"), answers).instances
        assert "transition deactivate is refused from outside (read_only)" in node.log()
