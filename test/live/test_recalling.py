"""The network's worker looks back when there is nothing better to do, and gives way."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from fake_segmenter import AT_ONCE, FakeSegmenter, Pace, found
from job_source import Source
from prompts import prompts

from samlite_ros.live.network_worker import NetworkWorker
from samlite_ros.live.resting import RestingCameras
from samlite_ros.network.local import LocalNetwork
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.streaming.recall import RecallJob
from samlite_ros.streaming.ring import Memory
from samlite_ros.types import DecodeOptions

DEADLINE_S = 20.0
IMAGE_BYTES = 1000
HALF_A_MINUTE = Memory(30.0, 10**6)
S = 1_000_000_000


class HeavySegmenter(FakeSegmenter):
    """Its embeddings have a size."""

    def embed_image(self, frame, on_block=None):
        return replace(super().embed_image(frame, on_block), bytes=IMAGE_BYTES)


class PastSource(Source):
    """Wants prompts in the kept keyframes before one."""

    def __init__(self, camera=""):
        super().__init__(camera)
        self.wants, self.before_ns = (), 0
        self.done = []
        self.told = threading.Event()

    def take_recall(self, kept_ns, most):
        stamp_ns = next((s for s in kept_ns if s < self.before_ns), None)
        if not self.wants or stamp_ns is None:
            return None
        wanted = self.wants[:most]
        return RecallJob(self.camera, stamp_ns, wanted, (DecodeOptions(masks=False),) * len(wanted))

    def recalled(self, job, results):
        self.before_ns = job.stamp_ns
        self.done.append((job.stamp_ns, [len(r.scores) for r in results]))
        self.told.set()


class Bench:
    def __init__(self, *cameras, pace=AT_ONCE, memory=HALF_A_MINUTE):
        def find(frame, prompt, options):
            seen = [mask_from_array(np.ones(frame.size, bool))] if frame.stamp_ns == 2 * S else []
            return found(prompt, seen)

        self.sources = [PastSource(camera) for camera in cameras or ("",)]
        self.failures = []
        self.segmenter = HeavySegmenter(find, pace=pace)
        self.worker = NetworkWorker(self.sources, lambda prompt, error: None, self.failures.append)
        self.worker.remember(memory)
        self.worker.start()
        self.worker.load(lambda: LocalNetwork(self.segmenter)).result(DEADLINE_S)

    def run(self, *fates):
        self.worker.poke()
        return [fate.result(DEADLINE_S) for fate in fates]

    def wait_for(self, condition):
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline_s
            time.sleep(0.002)


@pytest.fixture
def make_bench():
    made = []

    def make(*cameras, **options):
        made.append(Bench(*cameras, **options))
        return made[-1]

    yield make
    for bench in made:
        assert bench.worker.stop(DEADLINE_S)


def test_kept_keyframes_are_decoded_newest_first_one_decode_each(make_bench):
    bench = make_bench()
    (source,) = bench.sources
    for n in (1, 2, 3, 4):
        bench.run(source.add(n * S))
    bench.segmenter.calls.clear()
    source.wants, source.before_ns = prompts("cup"), 4 * S
    bench.worker.poke()
    bench.wait_for(lambda: len(source.done) == 3)
    assert source.done == [(3 * S, [0]), (2 * S, [1]), (1 * S, [0])]
    assert bench.segmenter.decoded == [(n * S, ("cup",)) for n in (3, 2, 1)] and bench.segmenter.embedded == []
    assert bench.worker.counters.looks_back == 3


def test_a_new_image_and_a_late_query_end_a_look_which_is_begun_anew(make_bench):
    bench = make_bench()
    (source,) = bench.sources
    for n in (1, 2):
        bench.run(source.add(n * S))
    looks = []

    def slow_at_first(image, asked):
        is_look = asked.prompts == prompts("cup")
        looks.extend([image.stamp_ns] * is_look)
        bench.segmenter.pace = Pace(steps=5000, step_s=0.002) if is_look and len(looks) == 1 else AT_ONCE

    bench.segmenter.at_segment = slow_at_first
    source.wants, source.before_ns = prompts("cup"), 2 * S
    bench.worker.poke()
    bench.wait_for(lambda: looks)
    late, following = source.add(2 * S, "cone", late=True), source.add(3 * S)
    bench.run(late)  # the look may be begun anew and end before the image comes
    bench.run(following)
    bench.wait_for(lambda: source.done)
    assert source.done == [(1 * S, [0])] and looks == [1 * S] * 2


def test_where_the_network_is_never_idle_looks_take_a_small_share_of_its_time(make_bench):
    bench = make_bench(pace=Pace(blocks=5, block_s=0.004))
    (source,) = bench.sources
    bench.run(*[source.add(n * S) for n in (1, 2, 3)])
    source.wants, source.before_ns = prompts("cup"), 3 * S
    bench.run(*[source.add(n * S) for n in range(4, 40)])
    assert source.done and not bench.failures


def test_memory_holds_with_three_cameras_and_is_given_back(make_bench):
    bench = make_bench("left", "middle", "right", memory=Memory(100.0, 10 * IMAGE_BYTES))
    for n in range(1, 80, 2):
        bench.run(*[source.add(n * S) for source in bench.sources])
        assert bench.worker.counters.remembered_bytes <= 10 * IMAGE_BYTES
    assert bench.worker.counters.remembered == 9
    assert bench.segmenter.living <= 9 + 3
    bench.worker.unload().result(DEADLINE_S)
    assert bench.worker.counters.remembered_bytes == bench.segmenter.living == 0


def test_a_resting_camera_and_another_memory_give_back_what_is_kept(make_bench):
    bench = make_bench("left", "right")
    bench.worker._resting = RestingCameras(0.1)
    bench.run(*[source.add(n * S) for n in (1, 2) for source in bench.sources])
    left, counters = bench.sources[0], bench.worker.counters
    bench.wait_for(lambda: bench.run(left.add(time.monotonic_ns())) and counters.remembered < 4)
    bench.worker.remember(Memory())
    bench.run(bench.sources[0].add(time.monotonic_ns()))
    assert bench.worker.counters.remembered == 0


def test_a_look_that_fails_is_told_and_not_repeated(make_bench):
    bench = make_bench()
    (source,) = bench.sources
    for n in (1, 2, 3):
        bench.run(source.add(n * S))

    def fail(image, asked):
        if asked.prompts == prompts("cup"):
            raise RuntimeError("CUDA out of memory")

    bench.segmenter.at_segment = fail
    source.wants, source.before_ns = prompts("cup"), 3 * S
    bench.worker.poke()
    bench.wait_for(lambda: len(source.done) == 2)
    assert source.done == [(2 * S, []), (1 * S, [])] and "CUDA" in bench.failures[0]
    assert bench.run(source.add(4 * S))[0] is not None
