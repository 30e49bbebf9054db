"""Drives a pipeline frame by frame on a virtual clock, with any segmenter and any latency.

The frames' stamps are the clock: a frame comes at its stamp, a pass takes what the profile says, and the work of the
stream itself is charged as measured, as a fixed cost, or not at all. So a sequence can be judged as if it had run on
another machine, and without charged work the outcome is the same every time::

    import numpy as np
    from samlite_ros.segmenter import load_segmenter
    from samlite_ros.streaming.pipeline import StreamingOptions
    from samlite_ros.types import Frame, Prompt, Query, QueryKey, Vocabulary
    from samlite_ros.virtual.latency import LatencyProfile
    from samlite_ros.virtual.run import VirtualRun

    images = np.load("images.npy")  # uint8 (T, H, W, 3)
    frames = [Frame(image, 1 + i * 33_333_333) for i, image in enumerate(images)]
    vocabulary = Vocabulary(1, (Query(QueryKey("me", "cup"), Prompt("red cup"), class_id=0),))
    profile = LatencyProfile.of_total_ms(250)
    run = VirtualRun(load_segmenter(), profile, StreamingOptions(propagate=True), vocabulary)
    for published in run.run(frames):
        answer = published.answer
        for instance in answer.instances:
            print(answer.stamp_ns, published.at_ns, instance.track_id, instance.confidence, instance.box_xyxy)

Any object with the three calls of `segmenter.contract.Segmenter` will do for the segmenter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.streaming.pipeline import StreamingCounters, StreamingOptions, StreamingPipeline
from samlite_ros.types import Frame, Segmentation, Vocabulary
from samlite_ros.virtual.latency import NEVER, LatencyProfile
from samlite_ros.virtual.loop import PublishedAnswer, VirtualLoop
from samlite_ros.virtual.network import KeyframePass, VirtualNetwork, VirtualStream


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What happened in a run besides the answers.

    Args:
        counters: The pipeline's counters.
        dropped_ns: Stamps of the frames that newer ones replaced before they were looked at [ns].
        embeddings: Number of image embeddings computed.
        passes: Jobs of the network that have ended, in this order.
    """

    counters: StreamingCounters
    dropped_ns: Sequence[int]
    embeddings: int
    passes: Sequence[KeyframePass]


class VirtualRun:
    """One run of a sequence through a pipeline.

    Args:
        segmenter: The network; its results are used as they are, only their time is virtual.
        profile: How long the network takes.
        options: Of the pipeline; `propagate=False` is the usual way: newest frame, whole model, publish when done.
        vocabulary: What is searched from the start.
        changes: Later vocabularies, as (stamp [ns], vocabulary), by stamp.
        charge_s: Work per frame to charge to the clock [s]; None = as measured; 0 = none: deterministic.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        profile: LatencyProfile,
        options: StreamingOptions,
        vocabulary: Vocabulary,
        changes: Sequence[tuple[int, Vocabulary]] = (),
        charge_s: float | None = None,
    ) -> None:
        self.pipeline = StreamingPipeline(options)
        stream = VirtualStream(self.pipeline, charge_s)
        self._network = VirtualNetwork(segmenter, profile, [stream])
        self._loop = VirtualLoop({"": stream}, self._network, _Changes(self.pipeline, vocabulary, changes))

    @property
    def record(self) -> RunRecord:
        """What has happened so far."""
        network = self._network
        return RunRecord(self.pipeline.counters, self._loop.dropped_ns, network.embeddings, network.passes)

    def run(self, frames: Iterable[Frame]) -> Iterator[PublishedAnswer]:
        """Feed frames, by growing stamp; yields the answers in the order in which they are published."""
        waiting: Frame | None = None
        for frame in frames:
            if waiting is not None:
                yield from self.take(waiting, frame.stamp_ns)
            waiting = frame
        if waiting is not None:
            yield from self.take(waiting)
        if not self._network.is_free:  # to the end of its pass, as if the stream went on
            yield from self._loop.pass_until(self._network.ends_ns)

    def take(self, frame: Frame, next_frame_ns: int = NEVER) -> Iterator[PublishedAnswer]:
        """Feed one frame; see `VirtualLoop.take`."""
        return self._loop.take(frame, next_frame_ns)


class _Changes:
    """One client, who changes what is asked at fixed times."""

    def __init__(
        self, pipeline: StreamingPipeline, vocabulary: Vocabulary, changes: Sequence[tuple[int, Vocabulary]]
    ) -> None:
        self._pipeline, self._changes = pipeline, list(changes)
        pipeline.set_vocabulary(vocabulary)

    @property
    def next_ns(self) -> int:
        return self._changes[0][0] if self._changes else NEVER

    def ask(self, now_ns: int) -> None:
        self._pipeline.set_vocabulary(self._changes.pop(0)[1])

    def update(self, now_ns: int) -> Iterable[NoReturn]:
        return ()

    def record(self, answer: Segmentation) -> None:
        pass
