"""One camera's stream: frames in, answers out, work for the network in between.

No threads and no clock of its own: whoever drives it (the node's stream worker, the bag replayer, a benchmark on a
virtual clock) calls `step` for each frame, hands `take_job` to the network when the network is free, and gives the
result back with `deliver`, in whatever order these happen to occur on its clock. See `runner.drive` for an example.
"""

from __future__ import annotations

from dataclasses import dataclass

from samlite_ros.streaming.answer import Search, answer_carried, answer_keyframe, decode_plan, mask_thresholds
from samlite_ros.streaming.carrier import Carrier
from samlite_ros.streaming.change import is_still
from samlite_ros.streaming.detections import detections_from
from samlite_ros.streaming.flow import prepare
from samlite_ros.streaming.keyframes import KeyframeSchedule
from samlite_ros.streaming.snapshot import Snapshot
from samlite_ros.types import DecodeOptions, Frame, PhraseResult, Query, Segmentation, Vocabulary


@dataclass(frozen=True)
class StreamingOptions:
    """How the stream is answered.

    Args:
        propagate: True: every frame is answered at once with masks carried to it. False: only keyframes are answered,
            each with what the network found in that very frame.
        keyframe_period_s: Least time between two keyframes [s]; 0 = as fast as the network goes. Another scene and
            waiting queries do not wait for it.
        max_mask_age_s: Masks older than this are withdrawn [s].
        merge_phrases: What two phrases both find is one thing with two matches. False: two things.
    """

    propagate: bool = False
    keyframe_period_s: float = 0.0
    max_mask_age_s: float = 2.0
    merge_phrases: bool = True


@dataclass(frozen=True, eq=False)
class KeyframeJob:
    """Work for the network: find these phrases in this frame.

    Args:
        frame: The frame.
        phrases: Distinct phrases, in the order in which to decode them.
        options: One per phrase.
        late: The frame's image embedding exists already: only decode.
    """

    frame: Frame
    phrases: tuple[str, ...]
    options: tuple[DecodeOptions, ...]
    late: bool = False


@dataclass(frozen=True, eq=False)
class KeyframeResult:
    """The network's answer to one job; `results` are in the order of the job's phrases."""

    job: KeyframeJob
    results: tuple[PhraseResult, ...]
    model_id: str


@dataclass
class StreamingCounters:
    """How often each level of reuse helped; they only grow.

    Args:
        frames: Frames taken.
        keyframes: Jobs begun that compute an image embedding.
        late_decodes: Jobs begun that decode on an embedding that existed already.
        still_frames: Frames that showed what the last keyframe showed.
        carried_frames: Frames answered with at least one mask carried from an earlier image.
        withdrawn: Tracks ended because what is known of them grew too old.
        ignored_results: Results of jobs that nobody waits for any more.
        failed_jobs: Jobs given up.
        resets: Times that everything was forgotten.
    """

    frames: int = 0
    keyframes: int = 0
    late_decodes: int = 0
    still_frames: int = 0
    carried_frames: int = 0
    withdrawn: int = 0
    ignored_results: int = 0
    failed_jobs: int = 0
    resets: int = 0


@dataclass(frozen=True, eq=False)
class _Running:
    """A job that the network has begun, and its moment; no snapshot where nothing is carried."""

    job: KeyframeJob
    snapshot: Snapshot | None


class StreamingPipeline:
    """Answers one camera's frames. Owned by one thread."""

    def __init__(self, options: StreamingOptions, camera: str = "") -> None:
        self.options = options
        self.camera = camera
        self.counters = StreamingCounters()
        self._vocabulary = Vocabulary()
        self._carrier = Carrier(options.merge_phrases)
        self._schedule = KeyframeSchedule(options.keyframe_period_s, options.max_mask_age_s)
        self._forget()

    def _forget(self) -> None:
        self._newest: Frame | None = None
        self._last_stamp_ns: int | None = None
        self._in_flight: _Running | None = None
        self._late_in_flight: _Running | None = None
        self._embedded: Snapshot | None = None
        self._searches: dict[str, Search] = {}
        self._submitted_ns: dict[str, int] = {}
        self._still = False
        self._model_id = ""
        self._carrier.reset()
        self._schedule.reset()

    def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Search for these queries from now on; those of other cameras are left out.

        A removed query is in no answer from the next frame on; a new one is searched in the embedding that exists.
        """
        self._vocabulary = Vocabulary(
            vocabulary.epoch,
            tuple(q for q in vocabulary.queries if not q.cameras or self.camera in q.cameras),
        )
        active = {q.phrase for q in self._vocabulary.queries}
        self._searches = {phrase: s for phrase, s in self._searches.items() if phrase in active}
        self._submitted_ns = {phrase: s for phrase, s in self._submitted_ns.items() if phrase in active}
        for snapshot in self._carrier.snapshots:
            snapshot.searched &= active

    def reset(self) -> None:
        """Forget every frame and mask (time jumped back, the camera changed); a running job's result is ignored."""
        self.counters.resets += 1
        self._forget()

    def step(self, frame: Frame) -> Segmentation | None:
        """Take the next frame; returns its answer, or None where the answer comes later or never.

        A frame of another size than the one before it starts afresh.

        Args:
            frame: Newer than every frame before it.

        Raises:
            ValueError: The frame is not newer. Where time really jumped back, call `reset` first.
        """
        if self._last_stamp_ns is not None and frame.stamp_ns <= self._last_stamp_ns:
            raise ValueError(
                f"frame of stamp {frame.stamp_ns} ns after one of {self._last_stamp_ns} ns: stamps must grow; "
                "call reset() where time jumped back"
            )
        if self._carrier.image is not None and self._carrier.image.camera_size != frame.size:
            self.reset()
        self.counters.frames += 1
        self._last_stamp_ns, self._newest = frame.stamp_ns, frame
        return self._carry_to(frame) if self.options.propagate else None

    def take_job(self) -> KeyframeJob | None:
        """What the network, being free, should do now; None = nothing worth doing. The job counts as begun.

        A phrase that an existing image embedding can answer comes first.
        """
        if self._in_flight is not None:
            return None
        return self.take_late_job() or self._take_keyframe()

    def take_late_job(self) -> KeyframeJob | None:
        """Phrases to decode on the last image embedding, None = none; may be called while a pass is running.

        The job's frame is the one that the last finished pass embedded. The job counts as begun.
        """
        snapshot = self._embedded
        if snapshot is None or self._late_in_flight is not None or self._is_too_old(snapshot.stamp_ns):
            return None
        phrases, options = decode_plan([q for q in self._due(snapshot.stamp_ns) if q.phrase not in snapshot.searched])
        if not phrases:
            return None
        job = KeyframeJob(snapshot.frame, phrases, options, late=True)
        self._late_in_flight = _Running(job, snapshot)
        self._note_submission(job)
        self.counters.late_decodes += 1
        return job

    def deliver(self, result: KeyframeResult) -> Segmentation | None:
        """Take the network's answer; returns the answer of the job's frame where that is still owed."""
        running = self._finish(result.job)
        if running is None:
            self.counters.ignored_results += 1
            return None
        self._model_id = result.model_id
        for found in result.results:
            self._searches[found.phrase] = Search(result.job.frame.stamp_ns, found.presence)
        if running.snapshot is None:
            return answer_keyframe(result.job.frame, result.results, result.model_id, self._vocabulary)
        self._take_over(result, running.snapshot)
        return None

    def abandon(self, job: KeyframeJob) -> None:
        """The job failed or was cancelled; another may be taken."""
        running = self._finish(job)
        if running is None:
            return
        self.counters.failed_jobs += 1
        for phrase in job.phrases:
            self._submitted_ns.pop(phrase, None)
        if not job.late:
            self._schedule.reset()
        self._prune()

    def _carry_to(self, frame: Frame) -> Segmentation:
        if not self._vocabulary.queries:
            self._carrier.reset()
            self._embedded = self._in_flight = self._late_in_flight = None
            self._schedule.reset()
        image = prepare(frame)
        self._carrier.advance(image)
        newest = self._carrier.snapshots[-1] if self._carrier.snapshots else None
        self._still = newest is not None and newest.changed is not None and is_still(newest.changed)
        self.counters.still_frames += self._still
        self._withdraw()
        drawn = self._carrier.draw()
        answer = answer_carried(
            frame, drawn, self._model_id, self._vocabulary, self._searches, self.options.max_mask_age_s
        )
        self.counters.carried_frames += any(i.propagated for i in answer.instances)
        return answer

    def _withdraw(self) -> None:
        """End the tracks that nobody asks for any more, and those that are too old."""
        active = {q.phrase for q in self._vocabulary.queries}
        unwanted = [t for t in self._carrier.tracks if not any(m.phrase in active for m in t.matches)]
        old = [t for t in self._carrier.tracks if t not in unwanted and self._is_too_old(t.keyframe_ns)]
        self.counters.withdrawn += len(old)
        self._carrier.end([*unwanted, *old])

    def _is_too_old(self, keyframe_ns: int) -> bool:
        now = self._last_stamp_ns if self._last_stamp_ns is not None else keyframe_ns
        return now - keyframe_ns > self.options.max_mask_age_s * 1e9

    def _take_keyframe(self) -> KeyframeJob | None:
        frame, image = self._newest, self._carrier.image
        if frame is None or not self._vocabulary.queries:
            return None
        queries = self._due(frame.stamp_ns)
        waits = any(q.phrase not in self._submitted_ns for q in queries)
        if not queries or self._schedule.due(frame.stamp_ns, image, self._still, waits) is None:
            return None
        self._newest = None
        self._schedule.submitted(frame.stamp_ns, image)
        job = KeyframeJob(frame, *decode_plan(queries))
        self._in_flight = _Running(job, self._carrier.remember(frame) if self.options.propagate else None)
        self._note_submission(job)
        self.counters.keyframes += 1
        return job

    def _due(self, stamp_ns: int) -> list[Query]:
        """Queries whose rate allows a search at this stamp."""

        def allowed(query: Query) -> bool:
            last = self._submitted_ns.get(query.phrase)
            return last is None or query.max_rate_hz <= 0 or stamp_ns - last >= 1e9 / query.max_rate_hz

        return [q for q in self._vocabulary.queries if allowed(q)]

    def _note_submission(self, job: KeyframeJob) -> None:
        self._submitted_ns.update(dict.fromkeys(job.phrases, job.frame.stamp_ns))

    def _finish(self, job: KeyframeJob) -> _Running | None:
        """Take a job off the list of those that run; None = it is not on it."""
        running = self._late_in_flight if job.late else self._in_flight
        if running is None or running.job is not job:
            return None
        if job.late:
            self._late_in_flight = None
        else:
            self._in_flight = None
        return running

    def _take_over(self, result: KeyframeResult, snapshot: Snapshot) -> None:
        """Give a keyframe's instances to the carrier."""
        job = result.job
        snapshot.searched |= set(job.phrases)
        if not job.late:
            self._embedded = snapshot
            now = self._last_stamp_ns if self._last_stamp_ns is not None else snapshot.stamp_ns
            self._schedule.delivered((now - snapshot.stamp_ns) / 1e9)
        detections = detections_from(
            result.results,
            mask_thresholds(self._vocabulary.queries),
            snapshot.stamp_ns,
            snapshot.image.size,
            self.options.merge_phrases,
        )
        self._carrier.deliver(snapshot, detections, frozenset(job.phrases))
        self._prune()

    def _prune(self) -> None:
        """Forget the keyframes that nothing refers to any more."""
        running = [r.snapshot for r in (self._in_flight, self._late_in_flight) if r is not None]
        self._carrier.keep_only([s for s in (*running, self._embedded) if s is not None])
