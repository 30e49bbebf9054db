"""Every image that came has one fate: received = the sum of all fates, exactly, in both modes."""

import random

import pytest
from stream_rig import DEADLINE_S, Damaged, Rig, frame

from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.streaming.stamps import Stamp


class World:
    """Images, jobs and whatever else befalls a stream, in any order."""

    def __init__(self, propagate, seed):
        self.rig, self.dice, self.jobs = Rig(StreamingOptions(propagate=propagate)), random.Random(seed), []
        self.stream, self.now_ns = self.rig.stream, 10**9

    def image(self):
        self.now_ns += 33_000_000
        self.stream.put_image(frame(self.now_ns), Stamp(self.now_ns))

    def repeated(self):
        self.stream.put_image(frame(self.now_ns), Stamp(self.now_ns))

    def back(self):
        self.now_ns = 10**9

    def damaged(self):
        self.stream.put_image(Damaged(), Stamp(self.now_ns))

    def unpublishable(self):
        self.stream.flush()
        self.stream.put_image(frame(666), Stamp(666))

    def take(self):
        job = self.stream.take_job()
        if isinstance(job, KeyframeJob):
            self.jobs.append(job)

    def deliver(self):
        if self.jobs:
            self.rig.answer(self.jobs.pop(0))

    def abandon(self):
        if self.jobs:
            self.stream.abandon(self.jobs.pop(0))

    def listeners(self):
        self.rig.listeners = not self.rig.listeners

    def activity(self):
        self.stream.set_active(not self.stream._active)

    def options(self):
        self.stream.set_options(StreamingOptions(self.dice.random() < 0.5, max_mask_age_s=self.dice.random()), False)

    def run(self, steps):
        often = [self.image] * 8 + [self.take, self.deliver] * 3
        seldom = [self.repeated, self.back, self.damaged, self.unpublishable, self.abandon, self.listeners]
        for _ in range(steps):
            self.dice.choice(often + seldom + [self.activity, self.options])()
            if self.dice.random() < 0.3:
                self.settle()
        self.settle()

    def settle(self):
        """Wait until the thread has done everything."""
        done = []
        self.stream._mailbox.post(lambda: done.append(True))
        self.rig.wait_for(lambda: done and not self.stream._mailbox.waiting and not self.stream.busy_s)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("propagate", [False, True])
def test_received_is_the_sum_of_all_fates(propagate, seed):
    world = World(propagate, seed)
    try:
        world.run(400)
        stream = world.stream
        assert stream.counters.received == sum(stream.fates().values()) + stream.at_work, stream.fates()
        assert stream.at_work <= 3
    finally:
        assert stream.stop(DEADLINE_S)


def test_each_fate_of_images_that_wait_for_the_network_has_a_count():
    rig = Rig()
    try:
        for stamp_ns in (1, 2, 3):
            rig.send(frame(stamp_ns))
        rig.answer(rig.take_job())
        rig.wait_for(lambda: rig.published)
        rig.send(frame(4))
        rig.stream.abandon(rig.take_job())
        rig.wait_for(lambda: rig.stream.reuse.unanswered)
        rig.send(frame(5))
        rig.stream.flush()
        rig.wait_for(lambda: rig.stream.reuse.forgotten)
        fates = {name: count for name, count in rig.stream.fates().items() if count}
        assert fates == {"answered": 1, "superseded": 2, "unanswered": 1, "forgotten": 1}
    finally:
        assert rig.stream.stop(DEADLINE_S)
