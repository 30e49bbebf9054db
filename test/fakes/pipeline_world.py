"""Painted things, and the pipeline that answers for them: on the virtual clock, or by hand."""

from streaming_world import Disc, index_of, truth_segmenter, vocabulary

from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

FAST, SLOW = LatencyProfile(0.06, 0.03), LatencyProfile(0.35, 0.1)
CARRY = StreamingOptions(propagate=True)
RED, GREEN, BLUE = (200, 60, 50), (50, 170, 70), (60, 80, 200)


def ball(center_at, color=RED, radius_px=24.0, phrase="ball"):
    return Disc(phrase, color, radius_px, center_at)


def at_rest(x=100.0, y=120.0):
    return lambda i: (x, y)


def run(world, count, profile=SLOW, options=CARRY, asked=None, segmenter=None, changes=(), first=0):
    """Answers by frame number, and the run."""
    segmenter = segmenter or truth_segmenter(world)
    asked = asked or vocabulary(*dict.fromkeys(d.phrase for d in world.discs))
    virtual = VirtualRun(segmenter, profile, options, asked, changes, charge_s=0)
    published = virtual.run(world.frame(i) for i in range(first, first + count))
    return {index_of(p.answer.stamp_ns): p.answer for p in published}, virtual


def deliver(pipeline, segmenter, job):
    results = tuple(segmenter.find(job.frame, *asked) for asked in zip(job.prompts, job.options, strict=True))
    return pipeline.deliver(KeyframeResult(job, results, "truth"))
