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


def test_a_stopped_host_is_given_up(monkeypatch):
    monkeypatch.setattr(network_host, "ANSWER_TIMEOUT_S", 0.3)
    with a_host() as host:
        network = host.load((3,))
        stopped(host.pid)
        began_s = time.monotonic()
        with pytest.raises(NetworkEndedError, match="cannot be started"):
            host.load((3,))
        assert time.monotonic() - began_s < 2.0
        assert not host.is_alive
        wait_until(lambda: not runs(host.pid) and not runs(network.pid), "they are left")


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
