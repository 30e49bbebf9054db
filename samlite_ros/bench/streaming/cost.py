"""What a frame costs the stream: from the camera's message to the answer's, alone and beside a running network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.figures import Figure, derived, row
from samlite_ros.bench.streaming.both_ways import CARRIED, undisturbed
from samlite_ros.bench.streaming.busy_segmenter import busy_in_a_process, busy_on_a_thread
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.bench.wrapped_segmenter import WrappedSegmenter
from samlite_ros.messages.fill import segmentation_message
from samlite_ros.pixels.decode import decode_image
from samlite_ros.scenes.clips import many_things, pendulum
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.segmenter.contract import ImageEmbedding, PromptEmbedding, Segmenter
from samlite_ros.types import DecodeOptions, Frame, PromptResult, Segmentation
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

COUNTS = (1, 8, 32)
SIZES = ((480, 640), (720, 1280))
PROFILE = LatencyProfile.of_total_ms(8e3 / 30)
"""The network answers eight frames after its keyframe."""
FRAMES, RENDERED = 180, 60
PERCENTILES = (("p50", 50), ("p95", 95), ("max", 100))


@dataclass(frozen=True)
class FrameCost:
    """One frame.

    Args:
        wall_s, cpu_s: From the image message to the bytes of the answer's message; elapsed, and this thread's [s].
        messages_cpu_s: Of these, for both messages.
        instances: In the answer.
    """

    wall_s: float
    cpu_s: float
    messages_cpu_s: float
    instances: int


def run(options: StreamingBenchOptions, progress: Progress) -> list[Figure]:
    """Measure every number of things in every size of image."""
    cases = progress(list(product(SIZES, COUNTS)), "cost")
    return [f for size, count in cases for f in figures_of_cost(options.seed, count, size)]


def figures_of_cost(seed: int, count: int, size: tuple[int, int]) -> list[Figure]:
    """Work per frame for a number of things and a size (H, W) [ms], OpenCV on one thread.

    Returns:
        instances: published, on average; work and messages: CPU time, the latter of the messages alone; elapsed;
        beside: elapsed with a busy network in a process of its own, as in the node; beside_thread: with one on another
        thread of this process, as where `network_process` is false; p50, p95 and max of each.
    """
    truth = pendulum(many_things(seed, count, size, RENDERED), FRAMES)
    name = f"cost/{count} at {size[1]}x{size[0]}"
    with undisturbed():
        idle = frame_costs(truth)
        figures = row(name, {"instances": float(np.mean([c.instances for c in idle]))})
        figures += _percentiles(f"{name}/work", [c.cpu_s for c in idle])
        figures += _percentiles(f"{name}/messages", [c.messages_cpu_s for c in idle])
        figures += _percentiles(f"{name}/elapsed", [c.wall_s for c in idle])
        for neighbour, busy in (("beside", busy_in_a_process), ("beside_thread", busy_on_a_thread)):
            with busy():
                figures += _percentiles(f"{name}/{neighbour}", [c.wall_s for c in frame_costs(truth)])
    return figures


def frame_costs(truth: Sequence[TruthFrame]) -> list[FrameCost]:
    """Answer every frame; those before the first mask are left out.

    A frame's work is all that the node's stream does for it: pixels out of the camera's message, taking over what the
    network found meanwhile, flow, carrying, remembering a keyframe, and the answer as serialised message.
    """
    oracle, serialise = _ClockedSegmenter(OracleSegmenter(truth)), _serialiser()
    run = VirtualRun(oracle, PROFILE, CARRIED, oracle_vocabulary(), charge_s=0)
    costs = []
    for shown in truth:
        pixels = shown.frame.image.tobytes()
        oracle.spent = np.zeros(2)
        began = _now()
        frame = _frame(pixels, shown.frame)
        decoded = _now()
        (published,) = run.take(frame)
        stepped = _now()
        serialise(published.answer)
        ended = _now()
        if published.answer.instances:
            wall_s, cpu_s = ended - began - oracle.spent
            messages_cpu_s = (decoded - began + ended - stepped)[1]
            costs.append(FrameCost(wall_s, cpu_s, messages_cpu_s, len(published.answer.instances)))
    return costs


class _ClockedSegmenter(WrappedSegmenter):
    """Says what it has spent, which is no work of the stream's: elapsed and this thread's time [s], float64 (2,)."""

    def __init__(self, inner: Segmenter) -> None:
        super().__init__(inner)
        self.spent = np.zeros(2)

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """As the inner segmenter."""
        return self._inner.embed_image(frame)

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """As the inner segmenter."""
        began = _now()
        results = self._inner.segment(image, prompts, options)
        self.spent += _now() - began
        return results


def _frame(pixels: bytes, like: Frame) -> Frame:
    """A frame from the bytes of an rgb8 message."""
    height, width = like.size
    return Frame(decode_image(pixels, "rgb8", height, width, 3 * width, False), like.stamp_ns, like.frame_id)


def _serialiser() -> Callable[[Segmentation], object]:
    """Answer to bytes: as the node does it, or without ROS as bags do."""
    try:
        from rclpy.serialization import serialize_message

        from samlite_ros.messages.fill import RCLPY
    except ModuleNotFoundError:
        from samlite_ros.bags.message_types import BAG_MESSAGES, serialize

        return lambda answer: serialize(segmentation_message(BAG_MESSAGES, answer))
    return lambda answer: serialize_message(segmentation_message(RCLPY, answer))


def _now() -> NDArray[np.float64]:
    """Elapsed and this thread's time [s], float64 (2,)."""
    return np.array((time.perf_counter(), time.thread_time()))


def _percentiles(name: str, values_s: Sequence[float]) -> list[Figure]:
    return [derived(f"{name}_{p}", "ms", 1e3 * float(np.percentile(values_s, q))) for p, q in PERCENTILES]
