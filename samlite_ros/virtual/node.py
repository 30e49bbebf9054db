"""The node on a virtual clock: its queries, its cameras, and one network that serves them in turn.

The frames' stamps are the clock; the network takes the time that a latency profile says, and the work of the streams
none, so that the outcome is the same every time. `streaming.runner` is the simpler driver of one camera with fixed
prompts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from samlite_ros.queries.asked import Asked
from samlite_ros.queries.registry import QueryRegistry, QueryStatus, embed_pending
from samlite_ros.queries.requests import QueryOptions
from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions, StreamingPipeline
from samlite_ros.types import Frame, ImageEmbedding, Segmentation, Segmenter, Vocabulary
from samlite_ros.virtual.latency import NEVER, LatencyProfile

NO_LATENCY = LatencyProfile(0.0, 0.0)


@dataclass(frozen=True, eq=False)
class PublishedAnswer:
    """One answer, when it was published [ns], the frame that it answers, and what it was asked."""

    answer: Segmentation
    at_ns: int
    frame: Frame
    vocabulary: Vocabulary


@dataclass(frozen=True, eq=False)
class PublishedStatus:
    """The state of all queries, when it was published [ns]."""

    statuses: tuple[QueryStatus, ...]
    epoch: int
    at_ns: int


@dataclass(frozen=True)
class KeyframePass:
    """One pass of the network over one frame, for the timeline [ns]."""

    camera: str
    stamp_ns: int
    begins_ns: int
    ends_ns: int
    prompts: int
    late: bool


Published = PublishedAnswer | PublishedStatus


@dataclass(eq=False)
class _Running:
    """A job on the virtual network: its result, when it ends, and when it next looks for a late query."""

    result: KeyframeResult
    begins_ns: int
    ends_ns: int
    encode_ends_ns: int
    decode_ns: int = 0
    next_block_ns: int = NEVER


@dataclass(eq=False)
class _Camera:
    """One camera's stream, and the image embeddings that late queries may need: the last two."""

    pipeline: StreamingPipeline
    embeddings: dict[int, ImageEmbedding] = field(default_factory=dict)


class VirtualNode:
    """Answers frames of several cameras.

    Args:
        segmenter: The network; its results are used as they are, only their time is virtual.
        cameras: Their names; '' for one without a name.
        streaming: How each camera is answered.
        queries: Defaults and limits of queries.
        asked: What the clients ask for, by time.
        profile: How long the network takes.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        cameras: Sequence[str],
        streaming: StreamingOptions,
        queries: QueryOptions,
        asked: Iterable[Asked],
        profile: LatencyProfile = NO_LATENCY,
    ) -> None:
        self.passes: list[KeyframePass] = []
        self._segmenter, self._profile = segmenter, profile
        self._cameras = {name: _Camera(StreamingPipeline(streaming, name)) for name in cameras}
        self._turn = deque(self._cameras)
        self._registry = QueryRegistry(queries)
        self._asked = deque(sorted(asked, key=lambda a: a.at_ns))
        self._vocabulary = self._registry.vocabulary
        self._told_revision = self._registry.revision
        self._running: _Running | None = None
        self._late: _Running | None = None

    @property
    def pipelines(self) -> dict[str, StreamingPipeline]:
        """The pipeline of each camera."""
        return {name: camera.pipeline for name, camera in self._cameras.items()}

    def run(self, frames: Iterable[Frame]) -> Iterator[Published]:
        """Feed frames in the order of their stamps; yields what is published, in order."""
        now_ns = 0
        for frame in frames:
            now_ns = frame.stamp_ns
            yield from self._events_until(now_ns)
            yield from self._update_queries(now_ns)
            answer = self._cameras[frame.camera].pipeline.step(frame)
            if answer is not None:
                yield from self._publish(answer, frame, now_ns)
            yield from self._use_network(now_ns)
        while self._running is not None or self._late is not None:
            now_ns = self._next_network_event_ns()
            yield from self._events_until(now_ns, serve=False)

    def _events_until(self, until_ns: int, serve: bool = True) -> Iterator[Published]:
        """Let clients and network do what they do up to this time, in order."""
        while True:
            asked_ns = self._asked[0].at_ns if self._asked else NEVER
            network_ns = self._next_network_event_ns()
            now_ns = min(asked_ns, network_ns)
            if now_ns > until_ns or now_ns == NEVER:
                return
            if now_ns == asked_ns:
                self._asked.popleft().apply(self._registry, now_ns)
            else:
                yield from self._network_event(now_ns)
            yield from self._update_queries(now_ns)
            if serve:
                yield from self._use_network(now_ns)

    def _next_network_event_ns(self) -> int:
        late_ns = self._late.ends_ns if self._late is not None else NEVER
        if self._running is None:
            return late_ns
        return min(late_ns, self._running.next_block_ns, self._running.ends_ns)

    def _network_event(self, now_ns: int) -> Iterator[Published]:
        """A late job ends, a block ends, or the pass ends: whichever is now."""
        if self._late is not None and now_ns == self._late.ends_ns:
            late, self._late = self._late, None
            yield from self._deliver(late, now_ns)
        elif self._running is not None and now_ns == self._running.next_block_ns:
            self._look_for_late_job(self._running, now_ns)
        elif self._running is not None:
            ended, self._running = self._running, None
            yield from self._deliver(ended, now_ns)

    def _update_queries(self, now_ns: int) -> Iterator[Published]:
        """Embed new prompts, tell the cameras what to search for, and the clients what became of their queries."""
        registry = self._registry
        registry.advance(now_ns)
        embed_pending(registry, self._segmenter.embed_prompts, now_ns)
        if registry.vocabulary is not self._vocabulary:
            self._vocabulary = registry.vocabulary
            for camera in self._cameras.values():
                camera.pipeline.set_vocabulary(self._vocabulary)
        if registry.revision != self._told_revision:
            self._told_revision = registry.revision
            yield PublishedStatus(tuple(registry.statuses()), self._vocabulary.epoch, now_ns)

    def _use_network(self, now_ns: int) -> Iterator[Published]:
        """Begin the next job of the next camera while the network is free; without latency it ends at once."""
        while self._running is None:
            running = self._begin_next_job(now_ns)
            if running is None:
                return
            if running.ends_ns > now_ns:
                self._running = running
            else:
                yield from self._deliver(running, now_ns)
                yield from self._update_queries(now_ns)

    def _begin_next_job(self, now_ns: int) -> _Running | None:
        for name in tuple(self._turn):
            self._turn.rotate(-1)  # the next camera comes first next time
            job = self._cameras[name].pipeline.take_job()
            if job is not None:
                return self._begin(job, now_ns)
        return None

    def _begin(self, job: KeyframeJob, now_ns: int) -> _Running:
        decode_ns = self._decode_ns(job)
        encode_ends_ns = now_ns + (0 if job.late else int(self._profile.encode_s * 1e9))
        ends_ns = encode_ends_ns + decode_ns
        look_ns = NEVER if job.late else self._profile.next_look_ns(now_ns, encode_ends_ns, ends_ns, decode_ns)
        return _Running(self._compute(job), now_ns, ends_ns, encode_ends_ns, decode_ns, look_ns)

    def _look_for_late_job(self, running: _Running, now_ns: int) -> None:
        """Between two parts of a pass: decode waiting prompts on an embedding that exists, which delays the pass."""
        delay_ns = 0
        job = self._take_late_job() if self._late is None else None
        if job is not None:
            delay_ns = self._decode_ns(job)
            self._late = _Running(self._compute(job), now_ns, now_ns + delay_ns, now_ns)
        running.ends_ns += delay_ns
        running.encode_ends_ns += delay_ns if now_ns < running.encode_ends_ns else 0
        running.next_block_ns = self._profile.next_look_ns(
            now_ns + delay_ns, running.encode_ends_ns, running.ends_ns, running.decode_ns
        )

    def _take_late_job(self) -> KeyframeJob | None:
        for camera in self._cameras.values():
            job = camera.pipeline.take_late_job()
            if job is not None:
                return job
        return None

    def _decode_ns(self, job: KeyframeJob) -> int:
        return int(self._profile.decode_s * len(job.prompts) * 1e9)

    def _compute(self, job: KeyframeJob) -> KeyframeResult:
        """The network's own answer to a job."""
        frame, embeddings = job.frame, self._cameras[job.frame.camera].embeddings
        if not job.late:
            for stamp_ns in tuple(embeddings)[:-1]:
                del embeddings[stamp_ns]
            embeddings[frame.stamp_ns] = self._segmenter.embed_image(frame)
        prompts = self._segmenter.embed_prompts(job.prompts)
        results = self._segmenter.segment(embeddings[frame.stamp_ns], prompts, job.options)
        return KeyframeResult(job, tuple(results), self._segmenter.model_id)

    def _deliver(self, ended: _Running, now_ns: int) -> Iterator[Published]:
        job = ended.result.job
        frame = job.frame
        self.passes.append(
            KeyframePass(frame.camera, frame.stamp_ns, ended.begins_ns, now_ns, len(job.prompts), job.late)
        )
        answer = self._cameras[frame.camera].pipeline.deliver(ended.result)
        if answer is not None:
            yield from self._publish(answer, frame, now_ns)

    def _publish(self, answer: Segmentation, frame: Frame, now_ns: int) -> Iterator[Published]:
        self._registry.record(answer)
        yield PublishedAnswer(answer, now_ns, frame, self._vocabulary)
