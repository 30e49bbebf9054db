"""A signal from the first line of the program on ends it with 0, without a traceback, and leaves nothing."""

import os
import random
import signal
import time

import pytest
from node_process import DEADLINE_S, FAKE_NODE, REAL_NODE, NodeProcess, own_domain
from probes import catches, runs, segments_of

from samlite_ros.bench.process_tree import tree_of


def wait_until_caught(pid):
    """Until the process catches SIGTERM: Python's own lines come before ours."""
    deadline_s = time.monotonic() + 30.0
    while not catches(pid, signal.SIGTERM):
        assert time.monotonic() < deadline_s, "it never catches SIGTERM"
        time.sleep(0.001)


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.4])
def test_a_signal_while_modules_are_imported_ends_with_0(with_signal, delay_s):
    with own_domain() as domain:
        node = NodeProcess(REAL_NODE, domain)
        try:
            wait_until_caught(node.process.pid)
            time.sleep(delay_s)
            assert node.interrupt(5.0, with_signal) == 0
            assert "Traceback" not in node.log() and "rror" not in node.log()
        finally:
            node.close()


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_shared_memory(with_signal):
    with own_domain() as domain:
        node = NodeProcess(FAKE_NODE, domain)
        try:
            deadline_s = time.monotonic() + DEADLINE_S
            while "listens to" not in node.log():
                assert time.monotonic() < deadline_s, "it never became active"
                time.sleep(0.05)
            segments = segments_of(node.process.pid)
            assert segments or os.environ.get("RMW_IMPLEMENTATION") != "rmw_fastrtps_cpp"
            assert node.interrupt(5.0, with_signal) == 0
            assert not [path for path in segments if path.exists()]
        finally:
            node.close()


@pytest.mark.acceptance
@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seed", range(12))
def test_a_signal_at_a_random_moment_ends_with_0(with_signal, seed):
    dice = random.Random(seed)
    with own_domain() as domain:
        node = NodeProcess(REAL_NODE, domain, {"queries": ["red ball"]})
        try:
            wait_until_caught(node.process.pid)
            time.sleep(dice.uniform(0.0, 6.0))
            tree = tree_of(node.process.pid)
            for _ in range(dice.choice((1, 1, 3))):
                os.kill(node.process.pid, with_signal)
                time.sleep(dice.uniform(0.0, 0.1))
            assert node.process.wait(5.0) == 0
            assert "Traceback" not in node.log()
            deadline_s = time.monotonic() + 3.0
            while any(runs(pid) for pid in tree) and time.monotonic() < deadline_s:
                time.sleep(0.01)
            assert not any(runs(pid) for pid in tree)
        finally:
            node.close()
