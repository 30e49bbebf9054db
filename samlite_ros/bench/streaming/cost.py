"""What a frame costs the stream: from the camera's message to the answer's, alone and beside a running network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from samlite_ros.bench.streaming.both_ways import CARRIED, undisturbed
from samlite_ros.bench.streaming.busy_segmenter import busy_in_a_process, busy_on_a_thread
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.bench.streaming_clips import many_things, pendulum
from samlite_ros.messages.fill import segmentation_message
from samlite_ros.pixels.decode import decode_image
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingPipeline
from samlite_ros.types import Frame, Segmentation

COUNTS = (1, 8, 32)
SIZES = ((480, 640), (720, 1280))
LATENCY_FRAMES = 8
"""The network's answer comes so many frames after its keyframe: 250 ms."""
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


def cost_row(seed: int, count: int, size: tuple[int, int]) -> dict[str, Any]:
    """Work per frame for a number of things and a size (H, W) [ms], OpenCV on one thread.

    Returns:
        instances: published, on average; idle, beside and beside_thread: elapsed and CPU time of the work, and the CPU
        time of the messages alone, p50, p95 and max; beside = with a busy network in a process of its own, as in the
        node, beside_thread = with one on another thread of this process, as where `network_process` is false.
    """
    truth = pendulum(many_things(seed, count, size, RENDERED), FRAMES)
    row: dict[str, Any] = {}
    neighbours: dict[str, AbstractContextManager[None]] = {
        "idle": nullcontext(),
        "beside": busy_in_a_process(),
        "beside_thread": busy_on_a_thread(),
    }
    for name, neighbour in neighbours.items():
        with undisturbed(), neighbour:
            costs = frame_costs(truth)
        row["instances"] = float(np.mean([c.instances for c in costs]))
        row[name] = {
            "wall_ms": _percentiles([c.wall_s for c in costs]),
            "cpu_ms": _percentiles([c.cpu_s for c in costs]),
            "messages_cpu_ms": _percentiles([c.messages_cpu_s for c in costs]),
        }
    return row


def frame_costs(truth: Sequence[TruthFrame]) -> list[FrameCost]:
    """Answer every frame; those before the first mask are left out.

    A frame's work is all that the node's stream does for it: pixels out of the camera's message, taking over what the
    network found meanwhile, flow, carrying, remembering a keyframe, and the answer as serialised message.
    """
    oracle, serialise = OracleSegmenter(truth), _serialiser()
    pipeline = StreamingPipeline(CARRIED)
    pipeline.set_vocabulary(oracle_vocabulary())
    running: tuple[int, KeyframeResult] | None = None
    costs = []
    for index, shown in enumerate(truth):
        pixels = shown.frame.image.tobytes()
        began = _now()
        frame = _frame(pixels, shown.frame)
        decoded = _now()
        if running is not None and running[0] <= index:
            pipeline.deliver(running[1])
            running = None
        answer = pipeline.step(frame)
        job = pipeline.take_job()
        stepped = _now()
        if answer is not None:
            serialise(answer)
        ended = _now()
        if job is not None:
            running = index + LATENCY_FRAMES, _computed(oracle, job)
        if answer is not None and answer.instances:
            messages_s = decoded[1] - began[1] + ended[1] - stepped[1]
            costs.append(FrameCost(ended[0] - began[0], ended[1] - began[1], messages_s, len(answer.instances)))
    return costs


def _frame(pixels: bytes, like: Frame) -> Frame:
    """A frame from the bytes of an rgb8 message."""
    height, width = like.size
    return Frame(decode_image(pixels, "rgb8", height, width, 3 * width, False), like.stamp_ns, like.frame_id)


def _computed(oracle: OracleSegmenter, job: KeyframeJob) -> KeyframeResult:
    image, prompts = oracle.embed_image(job.frame), oracle.embed_prompts(job.prompts)
    return KeyframeResult(job, tuple(oracle.segment(image, prompts, job.options)), oracle.model_id)


def _serialiser() -> Callable[[Segmentation], object]:
    """Answer to bytes: as the node does it, or without ROS as bags do."""
    try:
        from rclpy.serialization import serialize_message

        from samlite_ros.node.messages import RCLPY
    except ModuleNotFoundError:
        from samlite_ros.bags.message_types import BAG_MESSAGES, serialize

        return lambda answer: serialize(segmentation_message(BAG_MESSAGES, answer))
    return lambda answer: serialize_message(segmentation_message(RCLPY, answer))


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.thread_time()


def _percentiles(values_s: Sequence[float]) -> dict[str, float]:
    return {name: 1e3 * float(np.percentile(values_s, q)) for name, q in PERCENTILES}
