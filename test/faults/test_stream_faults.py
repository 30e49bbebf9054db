"""Whatever fails around one camera's stream is counted under its reason, told, and the next good frame is answered."""

import numpy as np
import pytest
from stream_rig import DEADLINE_S, Damaged, Rig, frame

from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions, StreamingPipeline
from samlite_ros.streaming.stamps import Stamp
from samlite_ros.types import Mask, Prompt, PromptResult

CARRIED = StreamingOptions(propagate=True)
NOTHING = np.zeros(0, np.float32), np.zeros((0, 4), np.float32), ()


class Broken:
    """An object that nothing can be done with."""

    def __getattr__(self, name):
        raise RuntimeError(f"no {name}")


def send(rig, message, stamp_ns=None):
    rig.stream.put_image(message, Stamp(getattr(message, "stamp_ns", 1) if stamp_ns is None else stamp_ns))


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


def break_once(rig, owner, name, error):
    """The next call of this method raises."""
    whole = getattr(owner, name)

    def fail(*arguments, **options):
        setattr(owner, name, whole)
        raise error

    setattr(owner, name, fail)


FAULTS = {
    "damaged": (lambda rig: send(rig, Damaged()), "rejected"),
    "no time": (lambda rig: send(rig, frame(0), 0), "rejected"),
    "repeated": (lambda rig: [rig.send(frame(7)), send(rig, frame(7))], "repeated"),
    "no listener": (lambda rig: [setattr(rig, "listeners", False), rig.send(frame(9))], "not wanted"),
    "decoder raises": (
        lambda rig: [break_once(rig, rig.stream, "_decode", KeyError(16)), send(rig, frame(9))],
        "failed",
    ),
    "decoder without memory": (
        lambda rig: [break_once(rig, rig.stream, "_decode", MemoryError()), send(rig, frame(9))],
        "failed",
    ),
    "decoder gives no frame": (lambda rig: send(rig, None, 9), "failed"),
    "listeners cannot be counted": (
        lambda rig: [break_once(rig, rig, "wanted", RuntimeError("no graph")), send(rig, frame(9))],
        "failed",
    ),
    "pipeline raises": (
        lambda rig: [break_once(rig, rig.stream._pipeline, "step", ValueError("odd")), send(rig, frame(9))],
        "failed",
    ),
    "publisher raises": (
        lambda rig: [rig.stream.set_options(CARRIED, False), break_once(rig, rig, "publish", RuntimeError("DDS")),
                     send(rig, frame(9))],
        "failed",
    ),
    "telling raises": (
        lambda rig: [setattr(rig.stream, "_on_failure", raising(ValueError("log"))), send(rig, Broken(), 9)],
        "failed",
    ),
    "deactivated": (lambda rig: [rig.stream.set_active(False), rig.stream.set_active(True), send(rig, Damaged())],
                    "rejected"),
}  # fmt: skip


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    assert rig.stream.stop(DEADLINE_S)


def assert_well(rig):
    rig.listeners = True
    before = len(rig.published)
    rig.stream.set_options(CARRIED, True)
    rig.stream.put_image(frame(10**12), Stamp(10**12))
    rig.wait_for(lambda: len(rig.published) > before)
    stream = rig.stream
    rig.wait_for(lambda: stream.counters.received == sum(stream.fates().values()) + stream.at_work)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_counted_under_its_reason_and_the_stream_goes_on(rig, name):
    inject, fate = FAULTS[name]
    inject(rig)
    rig.wait_for(lambda: rig.stream.fates()[fate] == 1)
    assert_well(rig)


def mask(**changes):
    settings = {"x0": 1, "y0": 2, "probability": np.ones((4, 4), np.float32), "size": (8, 8), "threshold": 100}
    return Mask(**{**settings, **changes})


RESULTS = {
    "no results": lambda job: (),
    "results of no kind": lambda job: (None,) * len(job.prompts),
    "other prompts": lambda job: (PromptResult(Prompt("other"), 0.5, *NOTHING),),
    "presence is no number": lambda job: (PromptResult(job.prompts[0], float("nan"), *NOTHING),),
    "more boxes than masks": lambda job: (
        PromptResult(job.prompts[0], 0.9, np.ones(2, np.float32), np.zeros((2, 4), np.float32), ()),
    ),
    "masks of another image": lambda job: (
        PromptResult(job.prompts[0], 0.9, np.ones(1, np.float32), np.ones((1, 4), np.float32), (mask(size=(80, 80)),)),
    ),
    "broken masks": lambda job: (
        PromptResult(job.prompts[0], 0.9, np.ones(1, np.float32), np.ones((1, 4), np.float32), (Broken(),)),
    ),
}


@pytest.mark.parametrize("propagate", [False, True], ids=["keyframes", "carried"])
@pytest.mark.parametrize("name", RESULTS)
def test_a_result_that_is_wrong_ends_no_stream(propagate, name):
    rig = Rig(StreamingOptions(propagate=propagate))
    try:
        rig.send(frame(5))
        job = rig.take_job()
        try:
            results = RESULTS[name](job)
        except (ValueError, TypeError):
            return  # cannot even be made
        rig.stream.deliver(KeyframeResult(job, results, "m"))
        assert_well(rig)
    finally:
        assert rig.stream.stop(DEADLINE_S)


def test_an_endless_step_is_seen_from_outside(rig, monkeypatch):
    import threading

    go_on = threading.Event()
    monkeypatch.setattr(StreamingPipeline, "step", lambda self, frame: go_on.wait(DEADLINE_S) and None)
    send(rig, frame(5))
    rig.wait_for(lambda: True)
    while rig.stream.busy_s < 0.05:
        pass
    go_on.set()
    while rig.stream.busy_s:
        pass
    assert rig.stream.at_work == 0
