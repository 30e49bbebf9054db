"""Drives a pipeline frame by frame on a virtual clock, with any segmenter and any latency.

The frames' stamps are the clock: a frame comes at its stamp, a pass takes what the profile says, and the work of the
stream itself is charged as measured, as a fixed cost, or not at all. So a sequence can be judged as if it had run on
another machine, and without charged work the outcome is the same every time::

    import numpy as np
    from samlite_ros.segmenter import load_segmenter
    from samlite_ros.streaming.pipeline import StreamingOptions
    from samlite_ros.virtual.run import LatencyProfile, drive
    from samlite_ros.types import Frame, Query, QueryKey, Vocabulary

    images = np.load("images.npy")  # uint8 (T, H, W, 3)
    frames = [Frame(image, 1 + i * 33_333_333) for i, image in enumerate(images)]
    vocabulary = Vocabulary(1, (Query(QueryKey("me", "cup"), "red cup", class_id=0),))
    profile = LatencyProfile.of_total_ms(250)
    for published in drive(load_segmenter(), frames, profile, StreamingOptions(propagate=True), vocabulary):
        answer = published.answer
        for instance in answer.instances:
            print(answer.stamp_ns, published.at_ns, instance.track_id, instance.confidence, instance.box_xyxy)

Any object with the three calls of `types.Segmenter` will do for the segmenter.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from samlite_ros.streaming.answer import Published
from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingCounters, StreamingOptions, StreamingPipeline
from samlite_ros.types import Frame, ImageEmbedding, Segmenter, Vocabulary
from samlite_ros.virtual.latency import NEVER, LatencyProfile


@dataclass(eq=False)
class RunRecord:
    """What happened in a run besides the answers.

    Args:
        counters: The pipeline's counters.
        dropped_ns: Stamps of the frames that newer ones replaced before they were looked at [ns].
        late_delivered_ns: When late decodes were delivered [ns].
        embeddings: Number of image embeddings computed.
        passes: Of each finished pass the keyframe's stamp, its begin and its end [ns].
    """

    counters: StreamingCounters
    dropped_ns: list[int] = field(default_factory=list)
    late_delivered_ns: list[int] = field(default_factory=list)
    embeddings: int = 0
    passes: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(eq=False)
class _Pass:
    """A job on the virtual network: when it ends, and when it next looks for a late query."""

    result: KeyframeResult
    begins_ns: int
    ends_ns: int
    encode_ends_ns: int = 0
    decode_ns: int = 0
    next_block_ns: int = NEVER


def drive(
    segmenter: Segmenter,
    frames: Iterable[Frame],
    profile: LatencyProfile,
    options: StreamingOptions,
    vocabulary: Vocabulary,
    changes: Sequence[tuple[int, Vocabulary]] = (),
    charge_s: float | None = None,
) -> Iterator[Published]:
    """Run a sequence through a pipeline; yields the answers in the order in which they are published.

    Args:
        segmenter: The network; its results are used as they are, only their time is virtual.
        frames: By growing stamp.
        profile: How long the network takes.
        options: Of the pipeline; `propagate=False` is the usual way: newest frame, whole model, publish when done.
        vocabulary: What is searched from the start.
        changes: Later vocabularies, as (stamp [ns], vocabulary), by stamp.
        charge_s: Work per frame to charge to the clock [s]; None = as measured; 0 = none: deterministic.
    """
    return VirtualRun(segmenter, profile, options, vocabulary, changes, charge_s).run(frames)


class VirtualRun:
    """The state of one run; see `drive` for the arguments. `record` tells what happened besides the answers."""

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
        self.record = RunRecord(self.pipeline.counters)
        self._segmenter, self._profile, self._charge_s = segmenter, profile, charge_s
        self._changes = list(changes)
        self._stream_free_ns = 0
        self._unpublished_work_s = 0.0
        self._pass: _Pass | None = None
        self._late: _Pass | None = None
        self._embeddings: dict[int, ImageEmbedding] = {}
        self.pipeline.set_vocabulary(vocabulary)

    def run(self, frames: Iterable[Frame]) -> Iterator[Published]:
        """Feed frames; yields the answers in the order in which they are published."""
        waiting: Frame | None = None
        for frame in frames:
            if waiting is not None:
                yield from self._take(waiting, frame.stamp_ns)
            waiting = frame
        if waiting is not None:
            yield from self._take(waiting, NEVER)
        if self._pass is not None:
            yield from self._events_until(self._pass.ends_ns)

    def _take(self, frame: Frame, next_frame_ns: int) -> Iterator[Published]:
        """One frame, unless the stream is still busy when the next one comes."""
        start_ns = max(frame.stamp_ns, self._stream_free_ns)
        if start_ns >= next_frame_ns:
            self.record.dropped_ns.append(frame.stamp_ns)
            return
        yield from self._events_until(start_ns)
        start_ns = max(start_ns, self._stream_free_ns)
        began_s = time.thread_time()
        answer = self.pipeline.step(frame)
        work_s = time.thread_time() - began_s + self._unpublished_work_s
        self._unpublished_work_s = 0.0
        self._charge(start_ns, work_s if self._charge_s is None else self._charge_s)
        if answer is not None:
            yield Published(answer, self._stream_free_ns, work_s)
        if self._pass is None:
            self._begin(self._stream_free_ns)

    def _charge(self, start_ns: int, work_s: float) -> None:
        self._stream_free_ns = start_ns + int(work_s * 1e9)

    def _events_until(self, until_ns: int) -> Iterator[Published]:
        """Let the network and the clients do what they do up to this time, in order."""
        while True:
            change_ns = self._changes[0][0] if self._changes else NEVER
            late_ns = self._late.ends_ns if self._late is not None else NEVER
            block_ns, pass_ns = (self._pass.next_block_ns, self._pass.ends_ns) if self._pass else (NEVER, NEVER)
            now_ns = min(change_ns, late_ns, block_ns, pass_ns)
            if now_ns > until_ns or now_ns == NEVER:
                return
            if now_ns == change_ns:
                self.pipeline.set_vocabulary(self._changes.pop(0)[1])
                if self._pass is None:
                    self._begin(now_ns)
            elif now_ns == late_ns and self._late is not None:
                late, self._late = self._late, None
                self.record.late_delivered_ns.append(now_ns)
                yield from self._deliver(late, now_ns)
            elif now_ns == block_ns:
                self._look_for_late_query(now_ns)
            elif self._pass is not None:
                ended, self._pass = self._pass, None
                self.record.passes.append((ended.result.job.frame.stamp_ns, ended.begins_ns, now_ns))
                yield from self._deliver(ended, now_ns)
                self._begin(max(now_ns, self._stream_free_ns))

    def _deliver(self, ended: _Pass, now_ns: int) -> Iterator[Published]:
        began_s = time.thread_time()
        answer = self.pipeline.deliver(ended.result)
        work_s = time.thread_time() - began_s
        self._unpublished_work_s += work_s
        if self._charge_s is None:
            self._charge(max(now_ns, self._stream_free_ns), work_s)
        if answer is not None:
            yield Published(answer, now_ns, 0.0)

    def _begin(self, now_ns: int) -> None:
        """The network is free: begin the next job, if there is one."""
        job = self.pipeline.take_job()
        if job is None:
            return
        decode_ns = self._decode_ns(job)
        encode_ends_ns = now_ns + (0 if job.late else int(self._profile.encode_s * 1e9))
        ends_ns = encode_ends_ns + decode_ns
        look_ns = NEVER if job.late else self._profile.next_look_ns(now_ns, encode_ends_ns, ends_ns, decode_ns)
        self._pass = _Pass(self._compute(job), now_ns, ends_ns, encode_ends_ns, decode_ns, look_ns)

    def _look_for_late_query(self, now_ns: int) -> None:
        """Between two parts of a running pass: decode waiting prompts on the last embedding."""
        running = self._pass
        if running is None:
            return
        job = None if self._late is not None else self.pipeline.take_late_job()
        delay_ns = 0
        if job is not None:
            delay_ns = self._decode_ns(job)
            self._late = _Pass(self._compute(job), now_ns, now_ns + delay_ns)
        running.ends_ns += delay_ns
        running.encode_ends_ns += delay_ns if now_ns < running.encode_ends_ns else 0
        running.next_block_ns = self._profile.next_look_ns(
            now_ns + delay_ns, running.encode_ends_ns, running.ends_ns, running.decode_ns
        )

    def _decode_ns(self, job: KeyframeJob) -> int:
        return int(self._profile.decode_s * len(job.prompts) * 1e9)

    def _compute(self, job: KeyframeJob) -> KeyframeResult:
        """The network's own answer to a job."""
        stamp_ns = job.frame.stamp_ns
        if not job.late:
            self._embeddings = dict(list(self._embeddings.items())[-1:])
            self._embeddings[stamp_ns] = self._segmenter.embed_image(job.frame)
            self.record.embeddings += 1
        prompts = self._segmenter.embed_prompts(job.prompts)
        results = self._segmenter.segment(self._embeddings[stamp_ns], prompts, job.options)
        return KeyframeResult(job, tuple(results), self._segmenter.model_id)
