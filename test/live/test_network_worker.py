import threading
import time
from dataclasses import replace

import pytest
from fake_segmenter import FakeSegmenter, Pace
from job_source import Source
from prompts import prompts

from samlite_ros.errors import ModelLoadError, PhraseTooLongError
from samlite_ros.live.network_worker import NetworkWorker
from samlite_ros.live.resting import RestingCameras
from samlite_ros.live.waiting_prompts import MOST_AT_ONCE
from samlite_ros.network.local import LocalNetwork
from samlite_ros.segmenter.backend import Reuse
from samlite_ros.types import Prompt

DEADLINE_S = 20.0


class Bench:
    """A running worker with a loaded segmenter."""

    def __init__(self, *cameras, blocks=1):
        self.sources = [Source(camera) for camera in cameras or ("",)]
        self.prompts, self.failures = [], []
        self.told = threading.Event()
        self.segmenter = FakeSegmenter(pace=Pace(blocks))
        self.worker = NetworkWorker(self.sources, self._on_prompt, self.failures.append)

    def _on_prompt(self, prompt, error):
        self.prompts.append((prompt, error))
        self.told.set()

    def run(self, *fates):
        self.worker.poke()
        return [fate.result(DEADLINE_S) for fate in fates]


@pytest.fixture
def make_bench():
    made = []

    def make(*cameras, **options):
        bench = Bench(*cameras, **options)
        made.append(bench)
        bench.worker.start()
        assert bench.worker.load(lambda: LocalNetwork(bench.segmenter)).result(DEADLINE_S) == "fake"
        bench.segmenter.calls.clear()
        return bench

    yield make
    for bench in made:
        assert bench.worker.stop(DEADLINE_S)


def test_a_job_is_computed_and_delivered_on_one_thread(make_bench):
    bench = make_bench()
    (result,) = bench.run(bench.sources[0].add(7))
    assert (result.model_id, [r.prompt.display for r in result.results]) == ("fake", ["ball"])
    assert bench.segmenter.calls == [("prompts", "ball"), ("image", 7), ("prompts", "ball"), ("segment", 7, "ball")]
    assert bench.segmenter.threads == {"network"}
    counters = bench.worker.counters
    assert (counters.images_embedded, counters.prompts_decoded, counters.failures) == (1, 1, 0)


def test_cameras_take_turns(make_bench):
    bench = make_bench("left", "right")
    left, right = bench.sources
    bench.run(*[left.add(stamp) for stamp in (1, 2, 3)], *[right.add(stamp) for stamp in (11, 12, 13)])
    order = [call[1] for call in bench.segmenter.calls if call[0] == "image"]
    assert order == [1, 11, 2, 12, 3, 13]


def test_a_camera_that_is_answering_a_frame_keeps_its_turn(make_bench):
    bench = make_bench("left", "right")
    left, right = bench.sources
    left.is_busy = True
    fates = [left.add(1), right.add(11)]
    bench.worker.poke()
    time.sleep(0.1)
    assert not any(fate.done() for fate in fates)
    left.is_busy = False
    bench.run(*fates)
    assert [call[1] for call in bench.segmenter.calls if call[0] == "image"] == [1, 11]


def test_a_failing_job_is_told_and_the_worker_lives_on(make_bench):
    bench = make_bench()

    def fail_once(image, asked):
        if image.stamp_ns == 1:
            raise RuntimeError("CUDA out of memory")

    bench.segmenter.at_segment = fail_once
    failed, done = bench.sources[0].add(1), bench.sources[0].add(2)
    assert bench.run(failed)[0] is None
    assert bench.run(done)[0] is not None
    assert len(bench.failures) == 1 and bench.failures[0].startswith("RuntimeError: CUDA out of memory (")
    assert bench.worker.counters.failures == 1


def test_a_late_job_is_decoded_between_two_blocks_on_the_earlier_image(make_bench):
    bench = make_bench(blocks=4)
    source = bench.sources[0]
    bench.run(source.add(1))
    late = []

    def ask_in_the_second_block(frame, block):
        if block == 1:
            late.append(source.add(1, "cone", late=True))
            bench.worker.poke()

    bench.segmenter.at_block = ask_in_the_second_block
    (result,) = bench.run(source.add(2))
    assert result.job.frame.stamp_ns == 2
    assert late[0].result(DEADLINE_S).results[0].prompt.display == "cone"
    calls = [call for call in bench.segmenter.calls if call[0] != "prompts"]
    assert calls[-3:] == [("image", 2), ("segment", 1, "cone"), ("segment", 2, "ball")]
    assert (bench.worker.counters.late_jobs, bench.worker.counters.images_embedded) == (1, 2)


def test_a_late_job_is_decoded_within_the_decoding_of_a_pass_on_the_image_before(make_bench):
    bench = make_bench()
    source, segmenter = bench.sources[0], bench.segmenter
    bench.run(source.add(1))
    segmenter.calls.clear()
    segmenter.pace = Pace(steps=3)
    fates = {}

    def ask(image, asked):
        if asked.prompts == prompts("ball"):
            fates[image.stamp_ns] = source.add(image.stamp_ns - 1, "cup", late=True)
            bench.worker.poke()

    segmenter.at_segment = ask
    bench.run(source.add(2))
    bench.run(source.add(3))
    assert [fates[stamp].result(DEADLINE_S).results[0].prompt.display for stamp in (2, 3)] == ["cup", "cup"]
    segments = [call[1:] for call in segmenter.calls if call[0] == "segment"]
    assert segments == [(2, "ball"), (1, "cup"), (3, "ball"), (2, "cup")]


def test_of_many_new_prompts_the_first_are_told_before_the_last_are_embedded(make_bench):
    bench = make_bench()
    source, names = bench.sources[0], [f"cone {i}" for i in range(MOST_AT_ONCE + 4)]
    bench.run(source.add(1))
    bench.segmenter.calls.clear()
    bench.worker._on_prompt = lambda prompt, error: bench.segmenter.calls.append(("told", prompt.display))
    late = source.add(1, *names, late=True)
    bench.worker.embed_prompts(prompts(*names))
    assert len(late.result(DEADLINE_S).results) == len(names)
    calls = bench.segmenter.calls
    assert calls.index(("told", names[0])) < calls.index(("prompts", names[-1]))
    assert [call[1] for call in calls if call[0] == "told"] == names


def test_within_a_pass_late_jobs_follow_one_another_and_one_that_comes_meanwhile_is_not_overlooked(make_bench):
    bench = make_bench(blocks=6)
    source = bench.sources[0]
    bench.run(source.add(1))
    take, late = source.take_late_job, []

    def take_while_another_comes():
        job = take()
        if job is None and len(late) == 1:
            late.append(source.add(1, "cup", late=True))
            bench.worker.poke()
        return job

    def ask_in_the_second_block(frame, block):
        if block == 1:
            late.append(source.add(1, "cone", late=True))
            bench.worker.poke()

    source.take_late_job = take_while_another_comes
    bench.segmenter.at_block = ask_in_the_second_block
    bench.run(source.add(2))
    assert [fate.result(DEADLINE_S).results[0].prompt.display for fate in late] == ["cone", "cup"]
    assert [call[1:] for call in bench.segmenter.calls if call[0] == "segment"][1:] == [
        (1, "cone"),
        (1, "cup"),
        (2, "ball"),
    ]


def test_a_segmenter_whose_decoding_cannot_be_interrupted_is_used_as_it_is(make_bench):
    bench = make_bench()

    plain = FakeSegmenter(interruptible=False)
    bench.worker.load(lambda: LocalNetwork(plain)).result(DEADLINE_S)
    (result,) = bench.run(bench.sources[0].add(3))
    assert [r.prompt.display for r in result.results] == ["ball"]


def test_a_late_job_of_an_image_that_was_let_go_is_abandoned_within_a_pass(make_bench):
    bench = make_bench(blocks=2)
    source = bench.sources[0]
    bench.run(source.add(1))
    stale = []

    def ask(frame, block):
        if block == 0:
            stale.append(source.add(99, "cone", late=True))
            bench.worker.poke()

    bench.segmenter.at_block = ask
    bench.run(source.add(2))
    assert stale[0].result(DEADLINE_S) is None


def test_a_late_query_is_embedded_and_decoded_in_one_go_and_a_bad_prompt_spoils_no_other(make_bench):
    bench = make_bench(blocks=4)
    source = bench.sources[0]
    bench.run(source.add(1))
    bench.segmenter.calls.clear()
    late = []

    def ask_in_the_second_block(frame, block):
        if block == 1:
            late.append(source.add(1, "toolong", "cone", late=True))
            bench.worker.embed_prompts(prompts("toolong", "cone"))

    bench.segmenter.at_block = ask_in_the_second_block
    bench.run(source.add(2))
    assert [r.prompt.display for r in late[0].result(DEADLINE_S).results] == ["cone"]
    assert [(p.display, type(error)) for p, error in bench.prompts] == [
        ("toolong", PhraseTooLongError),
        ("cone", type(None)),
    ]
    texts = [call[1:] for call in bench.segmenter.calls if call[0] == "prompts"]
    assert texts == [("toolong",), ("cone",), ("cone",), ("ball",)]
    assert bench.failures == []


def test_a_new_phrase_is_embedded_between_two_blocks(make_bench):
    bench = make_bench(blocks=3)
    bench.segmenter.at_block = lambda frame, block: block == 1 and bench.worker.embed_prompts(prompts("cone"))
    bench.run(bench.sources[0].add(1))
    assert bench.prompts == [(Prompt("cone"), None)]
    calls = bench.segmenter.calls
    assert calls.index(("prompts", "cone")) < calls.index(("segment", 1, "ball"))


def test_phrases_wait_for_the_model_and_bad_ones_are_told():
    bench = Bench()
    bench.worker.start()
    bench.worker.embed_prompts(prompts("toolong", "cone"))
    bench.worker.load(lambda: LocalNetwork(bench.segmenter)).result(DEADLINE_S)
    while len(bench.prompts) < 2:
        assert bench.told.wait(DEADLINE_S)
        bench.told.clear()
    assert isinstance(bench.prompts[0][1], PhraseTooLongError)
    assert bench.prompts[1] == (Prompt("cone"), None)
    assert bench.worker.stop(DEADLINE_S)


def test_stopping_cancels_a_pass_at_the_next_block(make_bench):
    bench = make_bench(blocks=1000)
    in_pass, go_on = threading.Event(), threading.Event()

    def wait_in_the_first_block(frame, block):
        in_pass.set()
        assert block == 0
        assert go_on.wait(DEADLINE_S)

    bench.segmenter.at_block = wait_in_the_first_block
    bench.sources[0].add(1)
    bench.worker.poke()
    assert in_pass.wait(DEADLINE_S)
    assert not bench.worker.stop(0.0)
    go_on.set()
    assert bench.worker.stop(DEADLINE_S)


def test_unloading_cancels_a_pass_and_its_job_is_abandoned(make_bench):
    bench = make_bench(blocks=1000)
    unloaded = []

    def unload_in_the_first_block(frame, block):
        assert block == 0
        unloaded.append(bench.worker.unload())

    bench.segmenter.at_block = unload_in_the_first_block
    assert bench.run(bench.sources[0].add(1)) == [None]
    unloaded[0].result(DEADLINE_S)
    assert bench.failures == []


def test_a_failed_load_leaves_the_worker_ready_for_another():
    bench = Bench()
    bench.worker.start()

    def fail():
        raise ModelLoadError("no such folder")

    with pytest.raises(ModelLoadError):
        bench.worker.load(fail).result(DEADLINE_S)
    bench.worker.load(lambda: LocalNetwork(bench.segmenter)).result(DEADLINE_S)
    bench.run(bench.sources[0].add(1))
    bench.worker.unload().result(DEADLINE_S)
    waiting = bench.sources[0].add(2)
    bench.worker.poke()
    assert bench.worker.stop(DEADLINE_S)
    assert not waiting.done()


def test_a_phrase_that_is_asked_again_counts_as_embedded_once(make_bench):
    bench = make_bench()
    for names in (["cone"], ["cone", "cup"], ["cup"]):
        bench.prompts.clear()
        bench.worker.embed_prompts(prompts(*names))
        while len(bench.prompts) < len(names):
            assert bench.told.wait(DEADLINE_S)
            bench.told.clear()
    assert bench.worker.counters.prompts_embedded == 2


def test_what_is_kept_of_a_camera_that_rests_is_given_back(make_bench):
    bench = make_bench("left", "right")
    bench.worker._resting = RestingCameras(0.2)
    bench.run(bench.sources[0].add(1), bench.sources[1].add(2))
    deadline_s = time.monotonic() + DEADLINE_S
    while ("forget", "right") not in bench.segmenter.calls and time.monotonic() < deadline_s:
        bench.run(bench.sources[0].add(3))
    while ("forget", "left") not in bench.segmenter.calls and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert [call[1] for call in bench.segmenter.calls if call[0] == "forget"] == ["right", "left"]
    assert bench.worker.counters.computed == bench.worker.counters.images_embedded


def test_memory_for_tokens_is_told_until_it_is_given_back(make_bench, monkeypatch):
    bench = make_bench()
    embed = bench.segmenter.embed_image
    monkeypatch.setattr(bench.segmenter, "embed_image", lambda *a: replace(embed(*a), reuse=Reuse(0.5, 1000)))
    bench.worker._resting = RestingCameras(0.2)
    bench.run(bench.sources[0].add(1))
    assert bench.worker.counters.kept_bytes == 1000 and bench.worker.counters.computed == 0.5
    deadline_s = time.monotonic() + DEADLINE_S
    while bench.worker.counters.kept_bytes and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert bench.segmenter.calls[-1] == ("forget", "") and not bench.worker.counters.kept_bytes
    bench.run(bench.sources[0].add(2))
    bench.worker.unload().result(DEADLINE_S)
    assert not bench.worker.counters.kept_bytes


def test_nothing_is_kept_of_the_image_that_warms_up():
    bench = Bench("left", "right")
    bench.worker.start()
    bench.worker.load(lambda: LocalNetwork(bench.segmenter)).result(DEADLINE_S)
    assert bench.segmenter.calls[-1] == ("forget", "")
    assert bench.worker.stop(DEADLINE_S)
