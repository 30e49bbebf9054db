"""Whatever a network does wrong in its process is counted and told, nothing wrong comes out, the next job goes well."""

import ctypes
import faulthandler
import os
import signal
import sys
import time

import numpy as np
import pytest
from fake_segmenter import FakeSegmenter, found, refuse_too_long
from job_source import Source
from network_process import DEADLINE_S, a_host, runs, wait_until
from prompts import prompts

from samlite_ros.errors import InferenceError, ModelLoadError, NetworkEndedError, NetworkError, PhraseTooLongError
from samlite_ros.live import network_worker
from samlite_ros.live.network_worker import NetworkWorker
from samlite_ros.live.watchdog import Limits
from samlite_ros.types import PromptResult

LIMITS = Limits(load_s=1.0, request_s=0.4)


class StrangeError(Exception):
    """Cannot be pickled, nor be put into words."""

    def __init__(self):
        super().__init__(lambda: None)

    def __str__(self):
        raise ValueError("no words")


def endless(depth=0):
    return endless(depth + 1)


def stop():
    os.kill(os.getpid(), signal.SIGSTOP)


def raised(error):
    raise error


WRONG = {
    "runtime": lambda: raised(RuntimeError("CUDA out of memory")),
    "memory": lambda: raised(MemoryError()),
    "recursion": endless,
    "strange": lambda: raised(StrangeError()),
    "inference": lambda: raised(InferenceError("not finite")),
    "stop iteration": lambda: raised(StopIteration()),
    "timeout": lambda: raised(TimeoutError("of a socket of its own")),
    "closed": lambda: raised(BrokenPipeError("of a pipe of its own")),
    "end of file": lambda: raised(EOFError()),
    "long words": lambda: raised(RuntimeError("x" * 10**6)),
    "system exit": lambda: sys.exit(3),
    "interrupt": lambda: raised(KeyboardInterrupt()),
    "segmentation": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(0),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "bus error": lambda: os.kill(os.getpid(), signal.SIGBUS),
    "floating point": lambda: os.kill(os.getpid(), signal.SIGFPE),
    "link closed": lambda: os.closerange(3, 100),
    "stopped": stop,
    "hang": lambda: time.sleep(3600),
    "busy": lambda: [None for _ in iter(int, 1)],
}
ENDS = ("system exit", "interrupt", "segmentation", "abort", "exit", "killed", "bus error", "floating point")
ENDED = (*ENDS, "link closed", "stopped", "hang", "busy")
"""The process has to be started again."""


def result_of(prompt):
    if prompt.text == "none":
        return None
    if prompt.text == "lambda":
        return PromptResult(prompt, 0.5, lambda: None, np.zeros((0, 4), np.float32), ())
    if prompt.text in WRONG:
        WRONG[prompt.text]()
    return found(prompt)


def refuse(prompt):
    refuse_too_long(prompt)
    name = prompt.text.removeprefix("embed ")
    if prompt.text.startswith("embed ") and name in WRONG:
        WRONG[name]()


def make(parameters):
    faulthandler.disable()  # pytest's
    if parameters == "missing":
        raise ModelLoadError("no such folder")
    if parameters in WRONG:
        WRONG[parameters]()
    return FakeSegmenter(lambda frame, prompt, options: result_of(prompt), "net", refuse=refuse, records=False)


class Bench:
    """A worker around a host, with a watchdog that looks as the node's does."""

    def __init__(self, host):
        self.host, self.source, self.failures, self.prompts = host, Source(), [], {}
        self.worker = NetworkWorker([self.source], self._on_prompt, self.failures.append)
        self.worker.start()
        self._stamp_ns = 0

    def _on_prompt(self, prompt, error):
        self.prompts[prompt.text] = error

    def load(self, parameters="good"):
        return self.wait_for(self.worker.load(lambda: self.host.load(parameters)))

    def wait_for(self, future):
        """Its result; raises what it raised."""
        wait_until(lambda: self._looked() and future.done(), "nothing came of it")
        return future.result()

    def _looked(self):
        delay = self.worker.watchdog.look(LIMITS)
        if delay is not None and delay.overdue:
            self.host.end_network(delay.message)
        return True

    def run(self, *phrases):
        """A job's result; None = it came to nothing."""
        self._stamp_ns += 1
        fate = self.source.add(self._stamp_ns, *phrases)
        self.worker.poke()
        return self.wait_for(fate)

    def assert_well(self):
        result = self.run("ball")
        while result is None:  # of the process that is just ending
            result = self.run("ball")
        assert [r.prompt.text for r in result.results] == ["ball"]
        assert self.worker.process_id is not None and runs(self.worker.process_id)
        assert self.worker.counters.reload_failure == "" and self.worker.counters.failing == 0


@pytest.fixture(scope="module")
def host():
    with a_host(make) as host:
        yield host


@pytest.fixture
def bench(host, monkeypatch):
    monkeypatch.setattr(network_worker, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(network_worker, "LONGEST_PAUSE_S", 0.02)
    bench = Bench(host)
    assert bench.load() == "net"
    yield bench
    assert bench.worker.stop(DEADLINE_S)


@pytest.mark.parametrize("fault", [*WRONG, "none", "lambda"])
def test_a_fault_in_decoding_fails_its_job_only(bench, fault):
    pid = bench.worker.process_id
    assert bench.run(fault) is None
    wait_until(lambda: bench.failures, "it is not told")
    assert bench.worker.counters.failures >= 1 and len(bench.failures[0]) < 2000
    bench.assert_well()
    assert (bench.worker.process_id != pid) == (fault in ENDED)


@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_in_embedding_refuses_its_phrase_only(bench, fault):
    bench.worker.embed_prompts(prompts(f"embed {fault}", "cone"))
    wait_until(lambda: bench._looked() and len(bench.prompts) == 2, "not all are told")
    assert bench.prompts["cone"] is None
    assert isinstance(bench.prompts[f"embed {fault}"], Exception)
    assert (bench.worker.counters.reloads == 2) == (fault in ENDED), "one that is ended twice is given up"
    bench.assert_well()


@pytest.mark.parametrize("fault", [*WRONG, "missing"])
def test_a_fault_in_loading_is_raised_and_another_model_can_be_loaded(host, fault):
    bench = Bench(host)
    try:
        with pytest.raises((NetworkError, NetworkEndedError, ModelLoadError, InferenceError)) as failure:
            bench.load(fault)
        assert len(str(failure.value)) < 2000
        assert bench.worker.process_id is None
        assert bench.load() == "net"
        bench.assert_well()
    finally:
        assert bench.worker.stop(DEADLINE_S)


def test_a_phrase_that_is_too_long_keeps_its_kind(bench):
    bench.worker.embed_prompts(prompts("toolong"))
    wait_until(lambda: bench.prompts, "it is not told")
    assert isinstance(bench.prompts["toolong"], PhraseTooLongError)
