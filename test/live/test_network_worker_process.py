"""The network's worker with a network in a process of its own: what becomes of it when that process ends."""

import itertools
import os
import signal
import threading
import time

import pytest
from job_source import Source
from network_process import DEADLINE_S, a_host, make, runs, wait_until
from prompts import prompts

from samlite_ros.errors import ModelLoadError, NetworkEndedError
from samlite_ros.live import network_worker
from samlite_ros.live.network_worker import NetworkWorker
from samlite_ros.network import remote as remote_network
from samlite_ros.types import Prompt

KILLED = "the network's process was ended by signal 9 (SIGKILL); it is started again"


class Bench:
    """A running worker around a host; each load may be told to fail."""

    def __init__(self, host):
        self.host, self.source = host, Source("left")
        self.prompts, self.failures, self.loads = [], [], []
        self.load_error, self.told = None, threading.Event()
        self.worker = NetworkWorker([self.source], self._on_prompt, self.failures.append)
        self.worker.start()

    def load(self, blocks=1, block_s=0.0):
        def make():
            self.loads.append(time.monotonic())
            if self.load_error is not None:
                raise self.load_error
            return self.host.load((blocks, block_s))

        assert self.worker.load(make).result(DEADLINE_S) == "net"
        return self.worker.process_id

    def _on_prompt(self, prompt, error):
        self.prompts.append((prompt, error))
        self.told.set()

    def run(self, stamp_ns):
        """Result of a job; None = it failed."""
        fate = self.source.add(stamp_ns)
        self.worker.poke()
        return fate.result(DEADLINE_S)

    def reloaded(self, count=1):
        wait_until(lambda: self.worker.counters.reloads == count, "the network is not loaded again")


@pytest.fixture(scope="module")
def host():
    with a_host(make) as host:
        yield host


@pytest.fixture
def bench(host):
    bench = Bench(host)
    yield bench
    assert bench.worker.stop(DEADLINE_S)


def phrase_of(result):
    return result.results[0].prompt.display


def test_a_network_killed_while_idle_is_loaded_again_before_there_is_work(bench):
    pid = bench.load()
    assert phrase_of(bench.run(1)).startswith("BALL 1")
    os.kill(pid, signal.SIGKILL)
    bench.reloaded()
    assert bench.failures == [KILLED] and bench.worker.counters.failures == 1
    assert bench.worker.process_id not in (pid, None)
    assert phrase_of(bench.run(2)).startswith("BALL 2 left 1 living")


def test_a_network_killed_in_a_pass_fails_the_job_and_is_loaded_again(bench):
    pid = bench.load(2000, 0.005)
    fate = bench.source.add(1)
    bench.worker.poke()
    wait_until(lambda: not bench.source.jobs, "no pass")
    os.kill(pid, signal.SIGKILL)
    assert fate.result(DEADLINE_S) is None
    bench.reloaded()
    assert bench.failures == [KILLED]


def test_a_phrase_wakes_the_worker_within_a_pass(bench, monkeypatch):
    monkeypatch.setattr(remote_network, "LOOK_S", 60.0)
    bench.load(100, 0.01)
    fate = bench.source.add(1)
    bench.worker.poke()
    wait_until(lambda: not bench.source.jobs, "the pass does not begin")
    time.sleep(0.1)  # the worker waits for the network
    bench.worker.embed_prompts(prompts("cone"))
    assert bench.told.wait(1.0) and not fate.done()
    assert fate.result(DEADLINE_S) is not None


def test_a_phrase_waits_for_the_next_network_unless_it_ends_that_too(bench):
    pid = bench.load()
    os.kill(pid, signal.SIGKILL)
    bench.worker.embed_prompts(prompts("cone"))
    assert bench.told.wait(DEADLINE_S)
    assert bench.prompts == [(Prompt("cone"), None)]
    bench.told.clear()
    bench.worker.embed_prompts(prompts("die", "cup"))
    wait_until(lambda: (Prompt("cup"), None) in bench.prompts, "the next phrase waits for ever")
    assert [(prompt.text, type(error)) for prompt, error in bench.prompts[1:]] == [
        ("die", NetworkEndedError),
        ("cup", type(None)),
    ]


def test_a_phrase_that_ends_the_network_with_its_late_job_does_so_once_more_and_is_refused(bench):
    bench.load()
    bench.run(1)
    late = bench.source.add(1, "die", "cone", late=True)
    bench.worker.embed_prompts(prompts("die", "cone"))
    assert late.result(DEADLINE_S) is None
    wait_until(lambda: len(bench.prompts) == 2, "one of them waits for ever")
    assert [(prompt.display, type(error)) for prompt, error in bench.prompts] == [
        ("die", NetworkEndedError),
        ("cone", type(None)),
    ]
    assert phrase_of(bench.run(2)).startswith("BALL 2")


def test_a_network_that_cannot_be_loaded_again_is_tried_more_and_more_seldom(bench, monkeypatch):
    monkeypatch.setattr(network_worker, "FIRST_PAUSE_S", 0.02)
    pid = bench.load()
    bench.load_error = ModelLoadError("the disk is gone")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(bench.loads) >= 5, "it gave up")
    again = bench.loads[1:]
    pauses = [b - a for a, b in itertools.pairwise(again)]
    assert all(pause >= 0.9 * 0.02 * 2 ** (i + 1) for i, pause in enumerate(pauses)), pauses
    assert bench.failures[:2] == [KILLED, "the network cannot be loaded again: the disk is gone"]
    bench.load_error = None
    bench.reloaded()
    assert bench.run(1) is not None
    bench.worker.unload().result(DEADLINE_S)
    assert bench.worker.process_id is None


def test_a_command_ends_the_pause_and_the_wish_to_load_again(bench, monkeypatch):
    monkeypatch.setattr(network_worker, "FIRST_PAUSE_S", 25.0)
    pid = bench.load()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: bench.failures, "its end is not told")
    began_s = time.monotonic()
    bench.worker.unload().result(DEADLINE_S)
    assert time.monotonic() - began_s < 5.0
    assert bench.loads[1:] == []
    assert bench.load() != pid


def test_unloading_and_stopping_end_the_process_in_the_middle_of_a_pass(host):
    bench = Bench(host)
    for end in (lambda: bench.worker.unload().result(DEADLINE_S), lambda: bench.worker.stop(DEADLINE_S)):
        pid = bench.load(2000, 0.005)
        fate = bench.source.add(1)
        bench.worker.poke()
        wait_until(lambda: not bench.source.jobs, "no pass")
        began_s = time.monotonic()
        end()
        assert time.monotonic() - began_s < 2.0
        assert fate.result(DEADLINE_S) is None
        assert not runs(pid)
    assert bench.failures == []


def test_many_failures_in_a_row_do_not_end_the_worker(bench, monkeypatch):
    monkeypatch.setattr(network_worker, "LONGEST_PAUSE_S", 0.0)
    bench.load()
    bench.worker._failures_in_a_row = 5000  # an hour and more of them
    fate = bench.source.add(1, "fail")
    bench.worker.poke()
    assert fate.result(DEADLINE_S) is None
    assert bench.run(2) is not None
