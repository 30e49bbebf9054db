"""Whatever hangs is noticed and ended, and everything else is served meanwhile."""

import os
import signal
import time

import pytest
from graph import TRANSITIONS, graph, scene
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from test_node_network_process import LONG_PASS, moving, network_pid, runs, start_long_pass, wait_until_gone

from samlite_ros.bench.process_tree import tree_of
from samlite_ros.msg import QueryStatus

ANSWER_LIMIT_S, END_LIMIT_S = 0.5, 5.0
"""Services answer within 0.2 s on a quiet computer."""
LONG = pytest.mark.acceptance


def host_pids(client, node):
    network = network_pid(client)
    return [pid for pid in tree_of(node.process.pid) if pid not in (network, node.process.pid)]


def level_is(*levels):
    return lambda status, _: status.level in levels


def assert_services_answer(client):
    client.state()
    began_s = time.monotonic()
    for _ in range(5):
        client.call(GetState, "/samlite/get_state", GetState.Request())
    assert time.monotonic() - began_s < 5 * ANSWER_LIMIT_S


def ask_for(client, transition):
    """A transition whose answer is not waited for."""
    service = client.node.create_client(ChangeState, "/samlite/change_state")
    client.wait_for(service.service_is_ready, "service")
    return service.call_async(ChangeState.Request(transition=Transition(id=TRANSITIONS[transition])))


def test_a_stopped_network_is_told_ended_and_started_again():
    parameters = {"queries": ["red thing"], "network_timeout": 4.0, "max_mask_age": 60.0}
    with graph(parameters=parameters) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        frames = moving("red", "blue")
        client.stream_until(frames, lambda: answers and answers[-1].instances, "masks")
        client.wait_for_diagnostic("network", level_is(b"\x00"))
        first = network_pid(client)
        os.kill(first, signal.SIGSTOP)
        client.stream_until(frames, client.diagnostic("network", level_is(b"\x01", b"\x02")), "diagnosis", 10.0)
        told = client.diagnostic("network", lambda _, values: "network_timeout" in values["last failure"])
        client.stream_until(frames, told, "end of the stopped process", 30.0)
        again = lambda status, values: status.level == b"\x00" and values["process"] not in ("", str(first))  # noqa: E731
        client.stream_until(frames, client.diagnostic("network", again), "another process", 30.0)
        assert not runs(first)
        del answers[:]
        assert client.answer_to(next(frames), answers).instances
        assert "Traceback" not in node.log()


@LONG
def test_an_idle_network_that_is_stopped_is_told():
    with graph() as (client, _):
        pid = network_pid(client)
        os.kill(pid, signal.SIGSTOP)
        client.wait_for_diagnostic("network", lambda status, _: status.level == b"\x02" and "stopped" in status.message)
        os.kill(pid, signal.SIGCONT)
        client.wait_for_diagnostic("network", level_is(b"\x00"))


def test_a_phrase_that_never_comes_back_is_given_up_and_others_are_answered():
    with graph(parameters={"propagate": False, "network_timeout": 1.5}) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.query("h", "hang")
        client.query("r", "red thing")
        status = client.wait_for_status("h", state=QueryStatus.REJECTED, reason=QueryStatus.REASON_MODEL_ERROR)
        assert "network_timeout" in status.message
        client.wait_until_active("r")
        assert client.answer_to(scene("red"), answers).instances


def test_while_loading_hangs_services_answer_and_its_end_fails_the_transition():
    with graph(parameters={"autostart": False, "model": "hang", "load_timeout": 3.0}) as (client, node):
        answer = ask_for(client, "configure")
        assert_services_answer(client)
        client.wait_for_diagnostic("network", lambda status, _: "being loaded" in status.message)
        assert not client.change_state("configure"), "it is under way"
        client.query("q", "red thing")
        client.wait_for_status("q", state=QueryStatus.PENDING)
        assert not answer.done()
        assert not client.wait_for(answer.done, "failure", 20.0) or not answer.result().success
        assert client.state() == "unconfigured"
        client.wait_for_diagnostic(
            "network", lambda status, _: status.level == b"\x02" and "load_timeout" in status.message
        )
        assert client.set_parameter("model", "there") == ""
        assert client.change_state("configure") and client.change_state("activate")
        client.wait_until_active("q")
        assert "Traceback" not in node.log()


@pytest.mark.parametrize("what", ["network", pytest.param("hosts", marks=LONG), pytest.param("all", marks=LONG)])
def test_cleanup_and_the_end_wait_for_nothing_that_is_stopped(what):
    with graph(environment=LONG_PASS, parameters={"propagate": False}) as (client, node):
        start_long_pass(client)
        network, hosts = network_pid(client), host_pids(client, node)
        for pid in {"network": [network], "hosts": hosts, "all": [network, *hosts]}[what]:
            os.kill(pid, signal.SIGSTOP)
        assert client.change_state("deactivate")
        answer = ask_for(client, "cleanup")
        assert_services_answer(client)
        assert client.wait_for(answer.done, "answer", 15.0) and answer.result().success
        assert client.state() == "unconfigured"
        began_s = time.monotonic()
        assert node.interrupt(END_LIMIT_S, signal.SIGTERM) == 0
        assert time.monotonic() - began_s < END_LIMIT_S
        wait_until_gone(client, [network, *hosts])


def test_a_terminated_node_waits_for_nothing_that_is_stopped():
    with graph(environment=LONG_PASS, parameters={"propagate": False}) as (client, node):
        start_long_pass(client)
        pids = tree_of(node.process.pid)
        for pid in pids[1:]:
            os.kill(pid, signal.SIGSTOP)
        began_s = time.monotonic()
        assert node.interrupt(END_LIMIT_S, signal.SIGTERM) == 0
        assert time.monotonic() - began_s < END_LIMIT_S
        wait_until_gone(client, pids)
