"""One network on a virtual clock, which serves several cameras in turn: the only place that knows when a pass ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from samlite_ros.segmenter.contract import ImageEmbedding, Segmenter
from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingPipeline
from samlite_ros.streaming.recall import Recalled, RecallJob
from samlite_ros.streaming.turns import Turns
from samlite_ros.types import Frame, PromptResult, Segmentation
from samlite_ros.virtual.latency import NEVER, LatencyProfile
from samlite_ros.virtual.past import VirtualPast


class VirtualStream:
    """One camera's pipeline, whose own work may take time on the virtual clock: its jobs begin when it is free.

    Args:
        pipeline: Of the camera.
        charge_s: Work per frame to charge to the clock [s]; None = as measured; 0 = none: deterministic.

    Attributes:
        free_ns: When the work at hand is done [ns].
    """

    def __init__(self, pipeline: StreamingPipeline, charge_s: float | None = 0.0) -> None:
        self.pipeline = pipeline
        self.free_ns = 0
        self._charge_s = charge_s
        self._unpublished_work_s = 0.0

    def take_job(self) -> KeyframeJob | None:
        """See `turns.Stream`."""
        return self.pipeline.take_job()

    def take_late_job(self) -> KeyframeJob | None:
        """See `turns.Stream`."""
        return self.pipeline.take_late_job()

    def take_recall(self, kept_ns: Sequence[int]) -> RecallJob | None:
        """One prompt to look for in kept keyframes."""
        return self.pipeline.take_recall(kept_ns, 1)

    def recalled(self, job: RecallJob, results: Sequence[PromptResult]) -> list[Recalled]:
        """It was looked for; returns what was found."""
        return self.pipeline.note_recall(job, results)

    def step(self, frame: Frame, start_ns: int) -> tuple[Segmentation | None, float]:
        """Answer a frame from this time on [ns]; returns the answer and the work since the last frame, measured [s]."""
        began_s = time.thread_time()
        answer = self.pipeline.step(frame)
        work_s = time.thread_time() - began_s + self._unpublished_work_s
        self._unpublished_work_s = 0.0
        self._charge(start_ns, work_s if self._charge_s is None else self._charge_s)
        return answer, work_s

    def deliver(self, result: KeyframeResult, now_ns: int) -> Segmentation | None:
        """Take what the network found; returns the answer that was owed for it."""
        began_s = time.thread_time()
        answer = self.pipeline.deliver(result)
        work_s = time.thread_time() - began_s
        self._unpublished_work_s += work_s
        if self._charge_s is None:
            self._charge(max(now_ns, self.free_ns), work_s)
        return answer

    def _charge(self, start_ns: int, work_s: float) -> None:
        self.free_ns = start_ns + int(work_s * 1e9)


@dataclass(frozen=True)
class KeyframePass:
    """One job of the network over one frame, when it began and ended [ns]."""

    camera: str
    stamp_ns: int
    begins_ns: int
    ends_ns: int
    prompts: int
    late: bool


@dataclass(eq=False)
class RunningJob:
    """A job on the virtual network: whose it is, its result, when it ends and when it next looks for a late query."""

    stream: VirtualStream
    result: KeyframeResult
    begins_ns: int
    ends_ns: int
    encode_ends_ns: int
    decode_ns: int
    next_look_ns: int = NEVER


class VirtualNetwork:
    """Computes at once what a job finds, and lets it take as long as the profile says.

    Args:
        segmenter: The network; its results are used as they are, only their time is virtual.
        profile: How long the network takes.
        streams: Of the cameras that it serves; the first has the first turn.
        past: Looks back where there is nothing better to do; None = nothing is kept.

    Attributes:
        passes: Jobs that have ended, in this order.
        embeddings: Number of image embeddings computed.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        profile: LatencyProfile,
        streams: Sequence[VirtualStream],
        past: VirtualPast | None = None,
    ) -> None:
        self._past = past
        self.passes: list[KeyframePass] = []
        self.embeddings = 0
        self._segmenter, self._profile = segmenter, profile
        self._turns = Turns(streams)
        self._kept: dict[str, dict[int, ImageEmbedding]] = {s.pipeline.camera: {} for s in streams}
        self._running: RunningJob | None = None
        self._late: RunningJob | None = None
        self._late_turns: Iterator[tuple[VirtualStream, KeyframeJob]] = iter(())

    @property
    def looks_back(self) -> int:
        """Looks into kept keyframes that have ended."""
        return 0 if self._past is None else self._past.looks

    @property
    def is_free(self) -> bool:
        """No pass runs, and so no late job within one either."""
        return self._running is None

    @property
    def next_ns(self) -> int:
        """When something is done next [ns]: a late job, a part of the pass, or all of it; NEVER = nothing runs."""
        late_ns = self._late.ends_ns if self._late is not None else NEVER
        if self._running is None:
            return late_ns if self._past is None else min(late_ns, self._past.ends_ns)
        return min(late_ns, self._running.next_look_ns, self._running.ends_ns)

    @property
    def ends_ns(self) -> int:
        """When the running pass ends, unless late jobs delay it [ns]; NEVER = none runs."""
        return self._running.ends_ns if self._running is not None else NEVER

    def begin(self, now_ns: int, at_once: bool = False) -> bool:
        """Begin the next job, if the network is free and there is one; returns whether it did.

        Args:
            now_ns: The time [ns].
            at_once: Also where the stream is still at work.
        """
        past = self._past
        if self._running is not None or (past is not None and past.hurries(now_ns)):
            return False
        turn = self._turns.next_job()
        if turn is None:
            if past is not None:
                past.begin(now_ns)
            return False
        if past is not None:
            past.give_way()
        stream, job = turn
        begins_ns = now_ns if at_once else max(now_ns, stream.free_ns)
        decode_ns, result = self._decode_ns(job), self._compute(job)
        image = self._kept[job.frame.camera][job.frame.stamp_ns]
        encode_ends_ns = begins_ns + (0 if job.late else self._encode_ns(image))
        ends_ns = encode_ends_ns + decode_ns
        running = RunningJob(stream, result, begins_ns, ends_ns, encode_ends_ns, decode_ns)
        if not job.late:
            self._plan_look(running, begins_ns)
        self._running = running
        return True

    def advance(self, now_ns: int) -> RunningJob | None:
        """Do what is due now, at `next_ns`; returns the job that has ended with it, whose result is to be delivered."""
        late, running = self._late, self._running
        if running is None and self._past is not None:
            self._past.end(now_ns)
            return None
        if late is not None and now_ns == late.ends_ns:
            self._late = None
            self._decode_late(now_ns)
            return self._ended(late, now_ns)
        if running is not None and now_ns == running.next_look_ns:
            self._late_turns = self._turns.late_jobs()
            self._decode_late(now_ns)
            return None
        self._running = None
        return self._ended(running, now_ns) if running is not None else None

    def _ended(self, job: RunningJob, now_ns: int) -> RunningJob:
        asked, frame = job.result.job, job.result.job.frame
        self.passes.append(
            KeyframePass(frame.camera, frame.stamp_ns, job.begins_ns, now_ns, len(asked.prompts), asked.late)
        )
        return job

    def _decode_late(self, now_ns: int) -> None:
        """Between two parts of a pass: the next late job, which delays the pass; after the last one it goes on."""
        running = self._running
        if running is None:
            return
        turn = next(self._late_turns, None)
        if turn is None:
            self._plan_look(running, now_ns)
            return
        stream, job = turn
        delay_ns = self._decode_ns(job)
        self._late = RunningJob(stream, self._compute(job), now_ns, now_ns + delay_ns, now_ns, delay_ns)
        running.encode_ends_ns += delay_ns if now_ns < running.encode_ends_ns else 0
        running.ends_ns += delay_ns
        running.next_look_ns = NEVER

    def _plan_look(self, running: RunningJob, now_ns: int) -> None:
        running.next_look_ns = self._profile.next_look_ns(
            now_ns, running.encode_ends_ns, running.ends_ns, running.decode_ns
        )

    def _encode_ns(self, image: ImageEmbedding) -> int:
        return self._profile.encode_ns(image.reuse.computed)

    def _decode_ns(self, job: KeyframeJob) -> int:
        return int(self._profile.decode_s * len(job.prompts) * 1e9)

    def _compute(self, job: KeyframeJob) -> KeyframeResult:
        """The network's own answer to a job; the last two image embeddings of a camera are kept for late queries."""
        frame, kept = job.frame, self._kept[job.frame.camera]
        if not job.late:
            for stamp_ns in tuple(kept)[:-1]:
                del kept[stamp_ns]
            kept[frame.stamp_ns] = self._segmenter.embed_image(frame)
            self.embeddings += 1
            if self._past is not None:
                image = kept[frame.stamp_ns]
                self._past.keep(image, (self._encode_ns(image) + self._decode_ns(job)) / 1e9)
        prompts = self._segmenter.embed_prompts(job.prompts)
        results = self._segmenter.segment(kept[frame.stamp_ns], prompts, job.options)
        told = tuple(replace(result, decode_s=self._profile.decode_s) for result in results)
        return KeyframeResult(job, told, self._segmenter.model_id)
