"""Transitions, parameters and the end of the node, over a real graph."""

import itertools
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from graph import graph, scene, stamp_of
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_process import REAL_NODE

from samlite_ros.msg import QueryStatus
from samlite_ros.pixels.masks import decode_rle

SHUTDOWN_LIMIT_S = 5.0


def masks_by_phrase(answer):
    return {
        match.text: (decode_rle(instance.counts, answer.height, answer.width), round(match.score, 5))
        for instance in answer.instances
        for match in instance.matches
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    for phrase in a:
        np.testing.assert_array_equal(a[phrase][0], b[phrase][0])
        assert a[phrase][1] == b[phrase][1]


def test_through_all_transitions_and_again_with_the_same_results():
    parameters = {"autostart": False, "propagate": False, "queries": ["red thing", "blue thing"]}
    with graph(parameters=parameters) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        picture = scene("red", "blue")
        assert client.state() == "unconfigured"
        client.wait_for_status("red thing", "parameters", state=QueryStatus.PENDING)
        seen = []
        for _ in range(2):
            assert client.change_state("configure")
            assert client.state() == "inactive"
            client.wait_until_active("blue thing", "parameters")
            assert client.change_state("activate")
            seen.append(masks_by_phrase(client.answer_to(picture, answers)))
            assert client.change_state("deactivate")
            assert_no_answers_while_inactive(client, answers, picture)
            assert client.change_state("activate")
            seen.append(masks_by_phrase(client.answer_to(picture, answers)))
            assert client.change_state("deactivate")
            assert client.change_state("cleanup")
            assert client.state() == "unconfigured"
            client.wait_for_status("red thing", "parameters", state=QueryStatus.PENDING)
        assert len(seen[0]) == 2
        for other in seen[1:]:
            assert_same(seen[0], other)


def assert_no_answers_while_inactive(client, answers, picture):
    client.wait_until_queries_are_read()
    before, sent = len(answers), [client.send_image(picture) for _ in range(5)]
    client.wait_until_queries_are_read()
    assert len(answers) == before, f"answers to some of {sent}"


def test_transitions_that_the_state_does_not_allow_are_refused_and_the_node_lives_on():
    with graph(parameters={"autostart": False, "propagate": False, "queries": ["red thing"]}) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        for transition, allowed in [
            ("activate", False),
            ("cleanup", False),
            ("configure", True),
            ("configure", False),
            ("activate", True),
            ("cleanup", False),
            ("activate", False),
        ]:
            assert client.change_state(transition) is allowed, transition
        assert client.state() == "active"
        assert client.answer_to(scene("red"), answers).instances
        assert "is refused while active" in node.log()
        assert "Traceback" not in node.log()


def test_foreign_names_of_transitions_do_not_fill_the_log():
    with graph() as (client, node):
        client.wait_for(lambda: client.state() == "active", "the model")
        for number in range(20):
            request = ChangeState.Request(transition=Transition(label=f"\x1b[31m{number}\n" + "x" * 100_000))
            assert not client.call(ChangeState, "/samlite/change_state", request).success
        lines = [line for line in node.log().splitlines() if "is refused while active" in line]
    assert lines
    assert len(lines) < 10
    assert not [line for line in lines if "\x1b" in line or len(line) > 400]


def test_a_model_that_cannot_be_loaded_fails_the_transition_and_the_node_lives_on():
    with graph(parameters={"model": "missing", "queries": ["red thing"]}) as (client, node):
        client.wait_for(lambda: "Type: pip install torch" in node.log(), "the line to type")
        assert "Traceback" not in node.log()
        assert client.state() == "unconfigured"
        assert not client.change_state("configure")
        assert client.state() == "unconfigured"
        failed = lambda status, _: status.level == status.ERROR and "Type: pip install torch" in status.message  # noqa: E731
        client.wait_for_diagnostic("network", failed)
        message = client.wait_for_status("red thing", "parameters", state=QueryStatus.PENDING).message
        assert message.startswith("the model missing cannot be loaded: ")
        assert "Type: pip install torch" in message
        assert client.set_parameter("model", "there") == ""
        assert client.change_state("configure")
        assert client.change_state("activate")
        waits = lambda: "no image has come yet" in client.wait_until_active("red thing", "parameters").message  # noqa: E731
        client.wait_for(waits, "what it waits for now")
        client.wait_for_diagnostic("network", lambda status, _: status.level == status.OK)


def test_a_node_that_waits_for_a_transition_says_so():
    with graph(parameters={"autostart": False}) as (client, _):
        waits = lambda status, _: "loaded when it is configured" in status.message  # noqa: E731
        assert client.wait_for_diagnostic("network", waits).level == b"\x00"


def test_services_are_served_while_the_model_loads():
    environment = {"FAKE_LOAD_S": "3600"}
    with graph(environment=environment) as (client, _):
        client.query("q", "red thing")
        client.wait_for_status("q", state=QueryStatus.PENDING)
        assert client.state() == "unconfigured"
        assert "while unconfigured" in client.set_parameter("model", "other")


def test_parameters_change_at_run_time_or_are_refused_with_a_reason():
    with graph(parameters={"propagate": False, "score_threshold": 1}) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.query("q", "red thing")
        client.wait_until_active("q")
        assert client.answer_to(scene("red"), answers).results[0].count == 0
        assert client.set_parameter("score_threshold", 0.5) == ""
        client.stream_until(scene("red"), lambda: answers[-1].results[0].count == 1, "a hit at the lower threshold")
        assert "score_threshold must be 0 to 1, got 3.0" in client.set_parameter("score_threshold", 3)
        assert "a number" in client.set_parameter("score_threshold", "high")
        assert "while unconfigured" in client.set_parameter("model", "other")
        assert client.set_parameter("queries", ["blue thing"]) == ""
        client.wait_until_active("blue thing", "parameters")
        assert client.set_parameter("propagate", True) == ""
        client.stream_until(scene("red"), lambda: answers[-1].instances and answers[-1].instances[0].track_id, "tracks")


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [("score_threshold", 7.0, "0 to 1"), ("image_transport", "theora", "raw, compressed"), ("model", 5, "a text")],
)
def test_a_wrong_parameter_at_start_ends_the_node_with_its_name(parameter, value, words):
    with graph(parameters={parameter: value}) as (_, node):
        assert node.process.wait(30.0) == 1
        assert f"wrong parameter: {parameter} must be" in node.log()
        assert words in node.log()
        assert "Traceback" not in node.log()


PASS_OF_20_S = {"FAKE_BLOCKS": "32", "FAKE_BLOCK_S": "0.625"}


def start_long_pass(client):
    client.listen_to_outputs("segmentation")
    client.query("q", "red thing")
    client.wait_until_active("q")
    busy = client.diagnostic("camera", lambda _, values: values["keyframes"] == "1")
    client.stream_until(scene("red"), busy, "a pass")


def test_an_interrupt_during_a_pass_of_20_s_ends_cleanly():
    with graph(environment=PASS_OF_20_S, parameters={"propagate": False}) as (client, node):
        start_long_pass(client)
        began_s = time.monotonic()
        assert node.interrupt(SHUTDOWN_LIMIT_S) == 0
        assert time.monotonic() - began_s < SHUTDOWN_LIMIT_S
        assert "Traceback" not in node.log()
        assert "rror" not in node.log()


@pytest.mark.parametrize(
    ("phase", "with_signal"), [("idle", signal.SIGINT), ("idle", signal.SIGTERM), ("loading", signal.SIGINT)]
)
def test_an_interrupt_ends_cleanly(phase, with_signal):
    environment = {"FAKE_LOAD_S": "3600"} if phase == "loading" else {}
    with graph(environment=environment) as (client, node):
        client.query("q", "red thing")
        client.wait_for_status("q", state=QueryStatus.PENDING if phase == "loading" else QueryStatus.ACTIVE)
        assert node.interrupt(SHUTDOWN_LIMIT_S, with_signal) == 0
        assert "Traceback" not in node.log()


def test_an_interrupt_while_an_image_is_read_ends_cleanly():
    """Python would raise KeyboardInterrupt inside of rclpy, which knows no such exception there."""
    command = [sys.executable, str(Path(__file__).with_name("interrupted_node.py"))]
    with graph(command, parameters={"autostart": False}) as (client, node):
        client.stream_until(scene("red"), lambda: node.process.poll() is not None, "end of the node")
        assert node.process.returncode == 0
        assert "Traceback" not in node.log()


def film(*colors):
    """The squares at rest, and something white that never rests: the network has work all the time."""
    for shift in itertools.cycle(range(30)):
        picture = scene(*colors)
        picture[34:44, 10 + shift : 20 + shift] = 255
        yield picture


def test_a_late_query_does_not_wait_for_the_pass():
    environment = {"FAKE_BLOCKS": "40", "FAKE_BLOCK_S": "0.1"}
    with graph(environment=environment, parameters={"max_mask_age": 60}) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.query("r", "red thing")
        client.wait_until_active("r")
        frames = film("red", "blue")
        busy = client.diagnostic("camera", lambda _, values: int(values["keyframes"]) > 1)
        client.stream_until(frames, lambda: answers and answers[-1].instances and busy(), "a second pass")
        client.query("b", "blue thing")
        client.stream_until(
            frames,
            lambda: any(m.query_id == "b" for i in answers[-1].instances for m in i.matches),
            "an answer to the late query",
        )
        first = {r.query_id: stamp_of(r.keyframe_stamp) for r in answers[-1].results}
        assert first["b"] == first["r"], "it was decoded on another image than the one embedded before"
        client.wait_for_diagnostic("network", lambda _, values: values["late jobs"] == "1")


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_an_interrupt_during_a_full_size_pass_ends_cleanly():
    """The real architecture with random weights: a pass takes tens of seconds on a CPU."""
    parameters = {"model": "random:s0", "dtype": "bfloat16", "propagate": False}
    with graph(REAL_NODE, parameters=parameters) as (client, node):
        client.query("q", "red thing")
        client.wait_for_status("q", state=QueryStatus.ACTIVE, timeout_s=1200.0)
        start_long_pass(client)
        assert node.interrupt(SHUTDOWN_LIMIT_S) == 0
        assert "Traceback" not in node.log()
