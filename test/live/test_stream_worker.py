import threading
import time

import numpy as np
import pytest
from prompts import prompts
from stream_rig import DEADLINE_S, OPTIONS, VOCABULARY, Damaged, Rig, frame

from samlite_ros.streaming.companions import Companions
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions, StreamingPipeline
from samlite_ros.streaming.stamps import Stamp
from samlite_ros.streaming.turns import Busy
from samlite_ros.types import CameraCalibration, DepthImage, Frame, Prompt, Query, QueryKey, Vocabulary


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
    assert len(rig.failures) == 1 and rig.failures[0].startswith("RuntimeError: publisher broke (stream_rig.py:")
    rig.send(frame(700))
    rig.answer(rig.take_job())
    rig.wait_for(lambda: rig.published)


def test_inactive_means_no_jobs_and_no_answers(rig):
    rig.send(frame(5))
    job = rig.take_job()
    rig.stream.set_active(False)
    rig.stream.put_image(frame(6), Stamp(6))
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
    assert rig.take_job().prompts == prompts("ball")
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
    (failure,) = rig.failures
    assert failure.startswith("RuntimeError: schedule broke (test_stream_worker.py:")
    rig.send(frame(6))
    assert rig.take_job().frame.stamp_ns == 6


WITH_CUP = Vocabulary(2, (*VOCABULARY.queries, Query(QueryKey("c", "r"), Prompt("cup"), 1)))


@pytest.fixture
def held():
    """A stream with an embedded image, whose pipeline holds still in the middle of the next frame."""
    rig, entered, goes_on = Rig(StreamingOptions(propagate=True)), threading.Event(), threading.Event()
    step = StreamingPipeline.step

    def slow_step(pipeline, taken):
        if taken.stamp_ns == 6:
            entered.set()
            assert goes_on.wait(DEADLINE_S)
        return step(pipeline, taken)

    rig.send(frame(5))
    rig.answer(rig.take_job())
    rig.send(frame(5))  # a repeated stamp: what was posted before is done
    assert rig.stream.take_late_job() is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StreamingPipeline, "step", slow_step)
        rig.stream.put_image(Frame(np.full((8, 8, 3), 255, np.uint8), 6), Stamp(6))
        assert entered.wait(DEADLINE_S)
        yield rig, goes_on
        goes_on.set()
        assert rig.stream.stop(DEADLINE_S)


def test_a_late_query_does_not_wait_for_the_frame_at_hand(held):
    rig, _ = held
    pokes = rig.pokes
    rig.stream.set_vocabulary(WITH_CUP)
    assert rig.pokes == pokes + 1
    assert rig.stream.take_late_job().prompts == prompts("cup")


def test_a_keyframe_is_not_waited_for_and_told_of_when_the_frame_is_answered(held):
    rig, goes_on = held
    assert rig.stream.take_job() is Busy.ANSWERING
    goes_on.set()
    assert rig.take_job().frame.stamp_ns == 6


def test_a_late_query_is_decoded_on_the_image_that_the_network_has_embedded_last(held, monkeypatch):
    """Its result waits until the frame at hand is answered; the network has let the image before go."""
    rig, goes_on = held
    goes_on.set()
    job = rig.take_job()
    with monkeypatch.context() as patch:
        patch.setattr(rig.stream._mailbox, "post", lambda command: None)
        rig.stream.deliver(KeyframeResult(job, (), "m"))
    rig.stream.set_vocabulary(WITH_CUP)
    assert rig.stream.take_late_job().frame.stamp_ns == 6


def test_a_late_query_does_not_wait_for_the_result_of_another_to_be_taken_over(held):
    rig, _ = held
    rig.stream.set_vocabulary(WITH_CUP)
    rig.answer(rig.stream.take_late_job())
    assert rig.stream.take_late_job() is None
    box = Query(QueryKey("c", "s"), Prompt("box"), 2)
    rig.stream.set_vocabulary(Vocabulary(3, (*WITH_CUP.queries, box)))
    assert rig.stream.take_late_job().prompts == prompts("box")


def test_a_stream_without_pause_stands_back_for_the_network(monkeypatch):
    monkeypatch.setattr("samlite_ros.live.stream_worker.HANDOVER_S", 0.2)
    rig = Rig(StreamingOptions(propagate=True))
    with rig.stream._pipeline_lock:
        assert rig.stream.take_job() is Busy.ANSWERING
    rig.send(frame(5))
    began_s = time.monotonic()
    rig.send(frame(6))
    assert time.monotonic() - began_s > 0.1
    assert rig.take_job().frame.stamp_ns == 6 and rig.stream.take_job() is not Busy.ANSWERING
    assert rig.stream.stop(DEADLINE_S)


def test_a_late_job_does_not_outlive_a_flush(held):
    rig, goes_on = held
    rig.stream.set_vocabulary(WITH_CUP)
    job = rig.stream.take_late_job()
    rig.stream.flush()
    rig.answer(job)
    goes_on.set()
    rig.wait_for(lambda: rig.stream.reuse.ignored_results == 1)
    assert rig.stream.reuse.resets == 2  # one of them when it became active
    rig.send(frame(7))
    assert set(rig.take_job().prompts) == {*prompts("ball", "cup")}


def test_a_vocabulary_that_comes_while_a_late_job_is_looked_for_is_not_overlooked(rig, monkeypatch):
    take = StreamingPipeline.take_late_job
    rig.send(frame(5))

    def take_while_another_query_comes(pipeline):
        job = take(pipeline)
        rig.stream.set_vocabulary(WITH_CUP)
        return job

    with monkeypatch.context() as patch:
        patch.setattr(StreamingPipeline, "take_late_job", take_while_another_query_comes)
        pokes = rig.pokes
        assert rig.stream.take_late_job() is None
    assert rig.pokes > pokes


def test_other_options_keep_a_vocabulary_that_came_meanwhile(rig, monkeypatch):
    class Meanwhile(StreamingPipeline):
        def __init__(self, options, camera):
            super().__init__(options, camera)
            rig.stream.set_vocabulary(WITH_CUP)

    monkeypatch.setattr("samlite_ros.live.stream_worker.StreamingPipeline", Meanwhile)
    rig.stream.set_options(StreamingOptions(propagate=True), search_always=False)
    rig.wait_for(lambda: rig.stream._pipeline.options.propagate)
    rig.send(frame(8))
    assert set(rig.take_job().prompts) == {*prompts("ball", "cup")}


def depth(stamp_ns):
    return DepthImage(np.ones((8, 8), np.float32), stamp_ns)


def test_a_frame_brings_along_what_came_for_it_to_the_network_and_to_the_outputs():
    companions = Companions(lambda message: message)
    rig = Rig(companions=companions)
    own, info = depth(5), CameraCalibration(np.eye(3), np.zeros(5), "plumb_bob", (8, 8), 4)
    rig.stream.put_companion(info)
    rig.stream.put_companion(own)
    rig.send(frame(5))
    job = rig.take_job()
    assert job.frame.depth is own and job.frame.calibration is info
    rig.answer(job)
    rig.wait_for(lambda: rig.published)
    assert rig.published[0][1].depth is own
    assert rig.stream.stop(DEADLINE_S)


def test_a_frame_is_not_held_up_for_what_has_not_come():
    companions = Companions(lambda message: message)
    rig = Rig(companions=companions)
    rig.send(frame(5))
    assert rig.take_job().frame.depth is None
    rig.stream.put_companion(depth(5))
    rig.send(frame(10**9))
    assert (companions.depth.counters.missed, companions.depth.counters.late) == (2, 1)
    assert rig.stream.stop(DEADLINE_S)


def test_a_jump_of_time_forgets_companions_and_a_stream_that_rests_takes_none():
    companions = Companions(lambda message: message)
    rig = Rig(companions=companions)
    rig.stream.put_companion(depth(10**9))
    rig.send(frame(10**9))
    rig.stream.put_companion(depth(5))
    rig.send(frame(5))
    assert companions.depth.counters.matched == 1, "what is from before the jump, or came with it, is gone"
    rig.stream.set_active(False)
    rig.stream.put_companion(depth(6))
    rig.stream.set_active(True)
    rig.send(frame(7))
    assert companions.depth.counters.received == 1
    assert rig.stream.stop(DEADLINE_S)
