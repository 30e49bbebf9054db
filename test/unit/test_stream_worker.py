import threading
from dataclasses import dataclass

import numpy as np
import pytest

from samlite_ros.errors import ImageDecodeError
from samlite_ros.node.stream_worker import StreamWorker
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions, StreamingPipeline
from samlite_ros.types import Frame, PhraseResult, Query, QueryKey, Vocabulary

DEADLINE_S = 20.0
OPTIONS = StreamingOptions(propagate=False)
VOCABULARY = Vocabulary(1, (Query(QueryKey("c", "q"), "ball", 0),))


def frame(stamp_ns):
    return Frame(np.zeros((8, 8, 3), np.uint8), stamp_ns)


@dataclass(frozen=True)
class Damaged:
    """An image message that cannot be decoded."""


class Rig:
    """A stream worker whose network is the test itself; frames stand for image messages."""

    def __init__(self, options=OPTIONS):
        self.listeners, self.published, self.failures, self.forgotten = True, [], [], 0
        self._condition = threading.Condition()
        self.stream = StreamWorker(
            "",
            options,
            self._decode,
            self,
            on_work=self._notify,
            on_answer=lambda answer: None,
            on_failure=self.failures.append,
        )
        self.stream.set_vocabulary(VOCABULARY)
        self.stream.set_active(True)
        self.stream.start()

    def wanted(self):
        return self.listeners

    def publish(self, answer, frame):
        if answer.stamp_ns == 666:
            raise RuntimeError("publisher broke")
        self.published.append((answer, frame))

    def forget(self):
        self.forgotten += 1

    def _decode(self, message):
        if isinstance(message, Damaged):
            raise ImageDecodeError("damaged")
        return message

    def _notify(self):
        with self._condition:
            self._condition.notify_all()

    def wait_for(self, condition):
        with self._condition:
            assert self._condition.wait_for(condition, DEADLINE_S)

    def send(self, message):
        """Send an image and wait until it was looked at."""
        counters = self.stream.counters

        def seen():
            return self.stream.reuse.frames + counters.idle + counters.rejected + counters.repeated + counters.failures

        before = seen()
        self.stream.put_image(message)
        self.wait_for(lambda: seen() > before)

    def take_job(self):
        jobs = []
        self.wait_for(lambda: jobs.append(self.stream.take_job()) or jobs[-1])
        return jobs[-1]

    def answer(self, job):
        nothing = np.zeros(0, np.float32), np.zeros((0, 4), np.float32), ()
        results = tuple(PhraseResult(phrase, 0.5, *nothing) for phrase in job.phrases)
        self.stream.deliver(KeyframeResult(job, results, "m"))


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    assert rig.stream.stop(DEADLINE_S)


def test_a_frame_becomes_a_job_and_its_result_an_answer(rig):
    sent = frame(5)
    rig.send(sent)
    rig.answer(rig.take_job())
    rig.wait_for(lambda: rig.published)
    answer, answered = rig.published[0]
    assert (answer.stamp_ns, answer.keyframe_stamp_ns, answered) == (5, 5, sent)
    assert rig.stream.counters.answered == 1


def test_with_carrying_every_frame_is_answered_at_once():
    rig = Rig(StreamingOptions(propagate=True))
    for stamp_ns in (5, 6, 7):
        rig.send(frame(stamp_ns * 33_000_000))
        rig.wait_for(lambda: rig.published)
    assert [answer.stamp_ns for answer, _ in rig.published] == [165_000_000, 198_000_000, 231_000_000]
    assert rig.stream.stop(DEADLINE_S)


def test_a_damaged_image_is_counted_and_told(rig):
    rig.send(Damaged())
    assert (rig.stream.counters.rejected, rig.stream.counters.last_rejection) == (1, "damaged")
    assert rig.failures == ["damaged"]
    rig.send(frame(5))
    assert rig.take_job().frame.stamp_ns == 5


def test_without_listeners_nothing_is_searched_unless_always(rig):
    rig.listeners = False
    rig.send(frame(5))
    assert rig.stream.counters.idle == 1
    assert rig.stream.take_job() is None
    rig.stream.set_options(OPTIONS, search_always=True)
    rig.send(frame(6))
    assert rig.take_job().frame.stamp_ns == 6


def test_when_listeners_leave_the_stream_is_forgotten(rig):
    rig.send(frame(5))
    job = rig.take_job()
    rig.listeners = False
    rig.send(frame(6))
    rig.answer(job)
    rig.listeners = True
    rig.send(frame(7))
    assert rig.take_job().frame.stamp_ns == 7
    assert rig.published == []


def test_a_stamp_that_goes_back_flushes(rig):
    rig.send(frame(100))
    job = rig.take_job()
    rig.send(frame(50))
    rig.answer(job)
    assert rig.take_job().frame.stamp_ns == 50
    assert (rig.stream.counters.flushes, rig.forgotten, rig.published) == (1, 1, [])


def test_a_repeated_stamp_is_counted_and_left_out(rig):
    rig.send(frame(5))
    rig.take_job()
    rig.send(frame(5))
    assert rig.stream.counters.repeated == 1


def test_an_error_in_the_stream_is_told_and_the_stream_goes_on(rig):
    rig.send(frame(666))
    rig.answer(rig.take_job())
    rig.wait_for(lambda: rig.failures)
    assert rig.failures == ["RuntimeError: publisher broke"]
    rig.send(frame(700))
    rig.answer(rig.take_job())
    rig.wait_for(lambda: rig.published)


def test_inactive_means_no_jobs_and_no_answers(rig):
    rig.send(frame(5))
    job = rig.take_job()
    rig.stream.set_active(False)
    rig.stream.put_image(frame(6))
    rig.answer(job)
    rig.stream.set_active(True)
    rig.send(frame(7))
    assert rig.stream.counters.received == 2
    assert rig.published == []


def test_other_options_begin_afresh_and_keep_counters_and_queries(rig):
    rig.send(frame(5))
    rig.take_job()
    rig.stream.set_options(StreamingOptions(propagate=False, keyframe_period_s=9.0), search_always=False)
    rig.send(frame(6))
    assert rig.take_job().phrases == ("ball",)
    assert rig.stream.reuse.keyframes == 2


def test_an_abandoned_job_makes_room_for_another(rig):
    rig.send(frame(5))
    rig.stream.abandon(rig.take_job())
    rig.send(frame(6))
    assert rig.take_job().frame.stamp_ns == 6


def test_an_error_in_taking_a_job_is_told_and_the_stream_goes_on(rig, monkeypatch):
    def break_down(pipeline):
        raise RuntimeError("schedule broke")

    rig.send(frame(5))
    with monkeypatch.context() as patch:
        patch.setattr(StreamingPipeline, "take_job", break_down)
        assert rig.stream.take_job() is None
    rig.wait_for(lambda: rig.failures)
    assert rig.failures == ["RuntimeError: schedule broke"]
    rig.send(frame(6))
    assert rig.take_job().frame.stamp_ns == 6
