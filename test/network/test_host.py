"""What starts the network's processes: it is never waited for without a bound."""

import os
import signal
import threading
import time

import pytest
from network_process import DEADLINE_S, a_host, ask, embed, frame, runs, wait_until

from samlite_ros.errors import NetworkEndedError
from samlite_ros.live.memory import is_stopped
from samlite_ros.network import host as network_host


def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(str(pid)), "it is not stopped")


def test_a_stopped_network_can_be_ended_with_a_reason():
    with a_host() as host:
        network = host.load((3,))
        stopped(network.pid)
        threading.Timer(0.2, host.end_network, ["it took too long"]).start()
        with pytest.raises(NetworkEndedError, match=r"process was ended: it took too long$"):
            embed(network, frame())
        assert not runs(network.pid)
        another = host.load((3,))
        assert ask(another, embed(another, frame()), "a")


def test_another_takes_the_place_of_a_host_that_is_stopped_and_then_there_is_none(monkeypatch):
    monkeypatch.setattr(network_host, "ANSWER_TIMEOUT_S", 0.3)
    with a_host() as host:
        networks = [host.load((3,))]
        pids = [starter.pid for starter in host._starters]
        stopped(pids[0])
        began_s = time.monotonic()
        networks.append(host.load((3,)))
        assert time.monotonic() - began_s < 3.0
        assert host.pid == pids[1] and host.is_alive and networks[1].embed([]) == {}
        stopped(pids[1])
        with pytest.raises(NetworkEndedError, match="cannot be started"):
            host.load((3,))
        assert not host.is_alive
        left = [*pids, *(network.pid for network in networks)]
        wait_until(lambda: not any(runs(pid) for pid in left), "some are left")


def test_a_host_that_waits_may_be_killed_too():
    with a_host() as host:
        os.kill(host._starters[1].pid, signal.SIGKILL)
        assert host.load((3,)).embed([]) == {}
        os.kill(host.pid, signal.SIGKILL)
        with pytest.raises(NetworkEndedError, match="cannot be started"):
            host.load((3,))


def test_closing_ends_stopped_processes_too(monkeypatch):
    monkeypatch.setattr(network_host, "END_TIMEOUT_S", 0.4)
    with a_host() as host:
        network = host.load((3,))
        stopped(host.pid)
        stopped(network.pid)
        began_s = time.monotonic()
        host.close()
        assert time.monotonic() - began_s < DEADLINE_S / 4
        wait_until(lambda: not runs(host.pid) and not runs(network.pid), "they are left")
