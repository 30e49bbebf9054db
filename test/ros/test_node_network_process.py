"""The network in a process of its own, over a real graph: it is there, it comes back, and it never stays behind."""

import os
import signal
import time
from pathlib import Path

import pytest
from graph import graph, scene

from samlite_ros.bench.process_tree import tree_of
from samlite_ros.msg import QueryStatus

LONG_PASS = {"FAKE_BLOCKS": "32", "FAKE_BLOCK_S": "0.625"}


def network_pid(client, other_than=0):
    """Of the network's process that the diagnostics name."""

    def named(status, values):
        return values["process"].isdigit() and int(values["process"]) != other_than

    status = client.wait_for_diagnostic("network", named)
    return int(next(v.value for v in status.values if v.key == "process"))


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_gone(client, pids):
    client.wait_for(lambda: not any(runs(pid) for pid in pids), f"end of {pids}", 10.0)


def moving(*colors):
    """The squares at rest, and something that never rests."""
    shift = 0
    while True:
        picture = scene(*colors)
        picture[34:44, 10 + shift % 30 : 20 + shift % 30] = 255
        shift += 1
        yield picture


def test_cleanup_ends_the_networks_process_and_configuring_starts_another():
    with graph(parameters={"propagate": False, "queries": ["red thing"]}) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.wait_until_active("red thing", "parameters")
        first = network_pid(client)
        assert first in tree_of(node.process.pid) and first != node.process.pid
        assert client.answer_to(scene("red"), answers).instances
        assert client.change_state("deactivate") and client.change_state("cleanup")
        assert not runs(first)
        client.wait_for_diagnostic("network", lambda _, values: values["process"] == "")
        assert client.change_state("configure") and client.change_state("activate")
        assert network_pid(client) != first
        assert client.answer_to(scene("red"), answers).instances
        assert "Traceback" not in node.log()


def test_without_a_process_of_its_own_the_network_is_in_the_nodes():
    parameters = {"propagate": False, "queries": ["red thing"], "network_process": False}
    with graph(parameters=parameters) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.wait_for_diagnostic("network", lambda _, values: values["process"] == "the node's")
        client.wait_for_diagnostic("network", lambda _, values: values["computes"] == "known answers")
        assert "is loaded; it computes on known answers" in node.log()
        assert tree_of(node.process.pid) == [node.process.pid]
        assert client.answer_to(scene("red"), answers).instances
        assert "at start" in client.set_parameter("network_process", True)


def test_a_killed_network_is_started_again_while_masks_are_carried_and_queries_stay_active():
    environment = {"FAKE_BLOCKS": "10", "FAKE_BLOCK_S": "0.05"}
    with graph(environment=environment, parameters={"max_mask_age": 60}) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.query("r", "red thing")
        client.wait_until_active("r")
        frames = moving("red", "blue")
        client.stream_until(frames, lambda: answers and answers[-1].instances, "masks")
        first = network_pid(client)
        os.kill(first, signal.SIGKILL)
        heard = []
        client.listen("/samlite/query_status", type(client.told), 10, heard.append)
        del answers[:]
        restarted = client.diagnostic("network", lambda _, values: values["process restarts"] == "1")
        client.stream_until(frames, restarted, "another network")
        assert answers and all(answer.instances for answer in answers), "masks were not carried meanwhile"
        assert "the network's process was ended by signal 9 (SIGKILL); it is started again" in node.log()
        client.query("b", "blue thing")
        client.stream_until(
            frames,
            lambda: any(m.query_id == "b" for i in answers[-1].instances for m in i.matches),
            "an answer to a query that only the new network knows",
        )
        assert client.answer_to(next(frames), answers).instances
        states = {status.state for message in heard for status in message.queries if status.id == "r"}
        assert states <= {QueryStatus.ACTIVE}
        assert network_pid(client, first) in tree_of(node.process.pid)
        assert client.state() == "active"
        assert "Traceback" not in node.log()


def start_long_pass(client):
    client.listen_to_outputs("segmentation")
    client.query("q", "red thing")
    client.wait_until_active("q")
    busy = client.diagnostic("camera", lambda _, values: values["keyframes"] == "1")
    client.stream_until(scene("red"), busy, "a pass")


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_node(with_signal):
    """In the middle of a pass of 20 s, and with the signal sent to the whole group, as a terminal does."""
    with graph(environment=LONG_PASS, parameters={"propagate": False}) as (client, node):
        start_long_pass(client)
        pids = tree_of(node.process.pid)
        assert len(pids) == 4, "node, two that start networks, network"
        began_s = time.monotonic()
        for pid in pids[1:] if with_signal != signal.SIGKILL else ():
            os.kill(pid, with_signal)
        status = node.interrupt(5.0, with_signal)
        assert status == (-signal.SIGKILL if with_signal == signal.SIGKILL else 0)
        assert time.monotonic() - began_s < 3.0
        wait_until_gone(client, pids)
        assert "rror" not in node.log() and "ended by" not in node.log()


def test_a_node_that_loads_for_an_hour_ends_at_once():
    with graph(environment={"FAKE_LOAD_S": "3600"}) as (client, node):
        client.query("q", "red thing")
        client.wait_for_status("q", state=QueryStatus.PENDING)
        pids = tree_of(node.process.pid)
        began_s = time.monotonic()
        assert node.interrupt(5.0) == 0
        assert time.monotonic() - began_s < 3.0
        wait_until_gone(client, pids)
        assert "rror" not in node.log()


def test_another_host_takes_the_place_of_one_that_was_killed_and_after_the_last_the_network_is_in_the_nodes_process():
    with graph(parameters={"propagate": False, "queries": ["red thing"]}) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.wait_until_active("red thing", "parameters")
        first = network_pid(client)
        hosts = [pid for pid in tree_of(node.process.pid) if pid not in (first, node.process.pid)]
        os.kill(hosts[0], signal.SIGKILL)
        second = network_pid(client, first)
        wait_until_gone(client, [first, hosts[0]])
        assert client.answer_to(scene("red"), answers).instances
        os.kill(hosts[1], signal.SIGKILL)
        warned = lambda status, _: status.level == b"\x01" and "nothing can end it" in status.message  # noqa: E731
        told = client.wait_for_diagnostic("network", warned)
        assert {v.key: v.value for v in told.values}["process"] == "the node's"
        wait_until_gone(client, [second, hosts[1]])
        assert client.answer_to(scene("red"), answers).instances
