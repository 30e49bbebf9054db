"""One network on a virtual clock, over two cameras: whose job, from when to when."""

from dataclasses import replace

import pytest
from streaming_world import Disc, PaintedWorld, stamp_ns, truth_segmenter, vocabulary

from samlite_ros.segmenter.backend import Reuse
from samlite_ros.streaming.pipeline import StreamingOptions, StreamingPipeline
from samlite_ros.types import Frame
from samlite_ros.virtual.latency import NEVER, LatencyProfile
from samlite_ros.virtual.network import VirtualNetwork, VirtualStream

WORLD = PaintedWorld(
    [
        Disc("ball", (200, 60, 50), 26, lambda i: (60 + 4.0 * i, 120.0)),
        Disc("cup", (40, 160, 60), 20, lambda i: (200.0, 60 + 2.0 * i)),
    ]
)
MS = 1_000_000


class Rig:
    """Two cameras that show the same, and a network of four blocks of 10 ms and a decoding of 4 ms."""

    def __init__(self):
        self.streams = [
            VirtualStream(StreamingPipeline(StreamingOptions(propagate=True), name)) for name in ("left", "right")
        ]
        self.network = VirtualNetwork(truth_segmenter(WORLD), LatencyProfile(0.04, 0.004, 4, 2), self.streams)
        self.ask("ball")
        self.now_ns = 0

    def ask(self, *phrases):
        for stream in self.streams:
            stream.pipeline.set_vocabulary(vocabulary(*phrases, epoch=len(phrases)))

    def show(self, index):
        frame = WORLD.frame(index)
        for stream in self.streams:
            stream.step(Frame(frame.image, frame.stamp_ns, camera=stream.pipeline.camera), frame.stamp_ns)

    def advance(self):
        self.now_ns = self.network.next_ns
        ended = self.network.advance(self.now_ns)
        if ended is not None:
            ended.stream.deliver(ended.result, self.now_ns)
        return ended

    def finish_pass(self):
        while not self.network.is_free:
            self.advance()


@pytest.fixture
def rig():
    return Rig()


def test_an_idle_network_has_nothing_ahead(rig):
    assert rig.network.is_free and rig.network.next_ns == rig.network.ends_ns == NEVER
    assert not rig.network.begin(0)


def test_a_pass_takes_what_the_profile_says_and_cameras_take_turns(rig):
    rig.show(0)
    start_ns = stamp_ns(0)
    assert rig.network.begin(start_ns)
    assert not rig.network.begin(start_ns)  # it is not free
    rig.finish_pass()
    assert rig.network.begin(rig.now_ns)
    rig.finish_pass()
    spans = [(p.camera, p.begins_ns - start_ns, p.ends_ns - start_ns) for p in rig.network.passes]
    assert spans == [("left", 0, 44 * MS), ("right", 44 * MS, 88 * MS)]
    assert rig.network.embeddings == 2


@pytest.mark.parametrize(("computed", "encode_ms"), [(1.0, 40.0), (0.5, 20.5), (0.0, 1.0)])
def test_a_pass_that_computes_some_tokens_is_as_much_shorter(rig, monkeypatch, computed, encode_ms):
    segmenter = rig.network._segmenter
    embed = segmenter.embed_image
    monkeypatch.setattr(segmenter, "embed_image", lambda f: replace(embed(f), reuse=Reuse(computed)))
    rig.show(0)
    rig.network.begin(stamp_ns(0))
    rig.finish_pass()
    (done,) = rig.network.passes
    assert done.ends_ns - done.begins_ns == pytest.approx((encode_ms + 4) * MS, abs=1)


def test_late_jobs_of_two_cameras_follow_each_other_and_delay_the_pass_by_both(rig):
    rig.show(0)
    rig.network.begin(stamp_ns(0))
    rig.finish_pass()
    rig.network.begin(rig.now_ns)
    rig.finish_pass()
    rig.show(5)
    start_ns = stamp_ns(5)
    rig.network.begin(start_ns)
    rig.ask("ball", "cup")
    rig.finish_pass()
    spans = [(p.camera, p.late, p.begins_ns - start_ns, p.ends_ns - start_ns) for p in rig.network.passes[2:]]
    late = [("right", True, 10 * MS, 14 * MS), ("left", True, 14 * MS, 18 * MS)]  # left has had its turn
    assert spans == [*late, ("left", False, 0, 52 * MS)]


def test_a_job_begins_when_its_stream_is_free_unless_it_is_to_begin_at_once(rig):
    rig.show(0)
    start_ns = stamp_ns(0)
    for stream in rig.streams:
        stream.free_ns = start_ns + 3 * MS
    rig.network.begin(start_ns)
    rig.finish_pass()
    rig.streams[1].free_ns = rig.now_ns + 3 * MS
    rig.network.begin(rig.now_ns, at_once=True)
    rig.finish_pass()
    assert [p.begins_ns - start_ns for p in rig.network.passes] == [3 * MS, 47 * MS]
