"""One camera's stream: frames in, answers out, work for the network in between.

No threads and no clock of its own: whoever drives it (the node's stream worker, the bag replayer, a benchmark on a
virtual clock) calls `step` for each frame, hands `take_job` to the network when the network is free, and gives the
result back with `deliver`, in whatever order these happen to occur on its clock. `virtual.run` is an example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from samlite_ros.streaming.answer import answer_carried, answer_keyframe, mask_thresholds
from samlite_ros.streaming.budget import Budget, BudgetLoad
from samlite_ros.streaming.carry.detections import detections_from
from samlite_ros.streaming.carry.snapshot import Snapshot
from samlite_ros.streaming.carry.tracker import Tracker
from samlite_ros.streaming.image.work_image import prepare
from samlite_ros.streaming.jobs import JobBook, KeyframeJob
from samlite_ros.streaming.keyframes import KeyframeSchedule
from samlite_ros.streaming.recall import MOST_AT_ONCE, RecallBook, Recalled, RecallJob
from samlite_ros.streaming.stamps import Stamp, StampOrder
from samlite_ros.streaming.tuning import Tuning
from samlite_ros.types import Frame, Prompt, PromptResult, Query, Segmentation, Turn, Vocabulary


@dataclass(frozen=True)
class StreamingOptions:
    """How the stream is answered.

    Args:
        propagate: True: every frame is answered at once with masks carried to it. False: only keyframes are answered,
            each with what the network found in that very frame.
        keyframe_period_s: Least time between two keyframes [s]; 0 = as fast as the network goes. Another scene and
            waiting queries do not wait for it.
        max_mask_age_s: Masks older than this are withdrawn [s].
        merge_prompts: What two prompts both find is one object with two matches. False: two objects.
        decode_budget_s: Prompts take turns so that a pass decodes for so long at most [s]; 0 = each pass decodes all.
        max_turn_age_s: Masks whose prompt waits for its turn are withdrawn when they are older than this and
            `max_mask_age_s` [s].
        recalls: What is asked anew is looked for in kept keyframes too.
        tuning: The constants of carrying masks.
    """

    propagate: bool = False
    keyframe_period_s: float = 0.0
    max_mask_age_s: float = 2.0
    merge_prompts: bool = True
    decode_budget_s: float = 0.0
    max_turn_age_s: float = 10.0
    recalls: bool = False
    tuning: Tuning = field(default_factory=Tuning)


@dataclass(frozen=True, eq=False)
class KeyframeResult:
    """The network's answer to one job; `results` are in the order of the job's prompts."""

    job: KeyframeJob
    results: tuple[PromptResult, ...]
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
        resized: Of these, times that a frame had another size than the one before.
        superseded: Frames that the network had no time for, or nothing to learn from, before the next one came; this
            and the following two only where masks are not carried, and frames wait for the network.
        forgotten: Frames that waited for an answer when everything was forgotten.
        unanswered: Frames whose job was given up.
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
    resized: int = 0
    superseded: int = 0
    forgotten: int = 0
    unanswered: int = 0


class StreamingPipeline:
    """Answers one camera's frames.

    Used by one thread at a time, but for `set_vocabulary`, `take_late_job` and `note_done`, which others may call
    meanwhile.

    Args:
        options: How.
        camera: Its name, by which queries may name it.
    """

    def __init__(self, options: StreamingOptions, camera: str = "") -> None:
        self.options = options
        self.camera = camera
        self.counters = StreamingCounters()
        budget = Budget(options.decode_budget_s) if options.decode_budget_s > 0 else None
        self._jobs = JobBook(options.max_mask_age_s, budget, options.max_turn_age_s, may_cut=options.propagate)
        self._recall = RecallBook(camera) if options.recalls else None
        lengths_s = options.keyframe_period_s, options.max_mask_age_s
        self._tracker = Tracker(options.merge_prompts, *lengths_s, options.tuning)
        self._schedule = KeyframeSchedule(*lengths_s, options.tuning)
        self._newest: Frame | None = None
        self._forget()

    @property
    def waiting(self) -> int:
        """Frames that wait for the network's answer; 0 where masks are carried."""
        return 0 if self.options.propagate else (self._newest is not None) + self._jobs.has_running_pass

    @property
    def turns(self) -> dict[Prompt, Turn]:
        """How prompts take turns; empty where each pass decodes all."""
        return self._jobs.turns

    @property
    def load(self) -> BudgetLoad:
        """What is asked of the time for decoding; all 0 where it has no limit."""
        return self._jobs.load

    def _forget(self) -> None:
        self.counters.forgotten += self.waiting
        self._newest = None
        self._still = False
        self._rested_ns: int | None = None
        self._model_id = ""
        self._jobs.forget()
        self._tracker.reset()
        self._schedule.reset()
        if self._recall is not None:
            self._recall.forget()

    def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Search for these queries from now on; those of other cameras are left out.

        A removed query is in no answer from the next frame on; a new one is searched in the embedding that exists. What
        is found for a pending one is carried, and shown as soon as it is active; where nothing is carried, it waits.
        """

        def here(queries: tuple[Query, ...]) -> tuple[Query, ...]:
            return tuple(q for q in queries if not q.cameras or self.camera in q.cameras)

        pending = here(vocabulary.pending) if self.options.propagate else ()
        asked = Vocabulary(vocabulary.epoch, here(vocabulary.queries), pending)
        self._jobs.set_vocabulary(asked)
        if self._recall is not None:
            self._recall.ask(asked)

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
        last_ns = self._jobs.now_ns
        if last_ns is not None and Stamp(frame.stamp_ns).after(last_ns) is not StampOrder.NEWER:
            raise ValueError(
                f"frame of stamp {frame.stamp_ns} ns after one of {last_ns} ns: stamps must grow; "
                "call reset() where time jumped back"
            )
        if self._tracker.image is not None and self._tracker.image.camera_size != frame.size:
            self.counters.resized += 1
            self.reset()
        self.counters.frames += 1
        self.counters.superseded += self._newest is not None and not self.options.propagate
        self._jobs.now_ns, self._newest = frame.stamp_ns, frame
        return self._carry_to(frame) if self.options.propagate else None

    def take_job(self) -> KeyframeJob | None:
        """What the network, being free, should do now; None = nothing worth doing. The job counts as begun.

        A prompt that an existing image embedding can answer comes first.
        """
        if self._jobs.has_running_pass:
            return None
        return self.take_late_job() or self._take_keyframe()

    def take_late_job(self) -> KeyframeJob | None:
        """Prompts to decode on the last image embedding, None = none; may be called while a pass is running.

        The job's frame is the one that the last finished pass embedded. The job counts as begun.
        """
        job = self._jobs.begin_late()
        self.counters.late_decodes += job is not None
        return job

    def note_done(self, job: KeyframeJob) -> None:
        """The network has done this, and its result will be delivered soon; need not be called.

        From now on late queries are decoded on a pass's image (the network may not have the one before any more), and
        others may follow a late query.
        """
        self._jobs.note_done(job)

    def take_recall(self, kept_ns: Sequence[int], most: int = MOST_AT_ONCE) -> RecallJob | None:
        """What to look for in kept keyframes (stamps, newest first) when nothing better is to do; from any thread.

        A job that came to nothing is taken again.
        """
        return None if self._recall is None else self._recall.take(kept_ns, most)

    def note_recall(self, job: RecallJob, results: Sequence[PromptResult]) -> list[Recalled]:
        """That is done; returns what was found. From any thread."""
        return [] if self._recall is None else self._recall.note_recall(job, results)

    def deliver(self, result: KeyframeResult) -> Segmentation | None:
        """Take the network's answer; returns the answer of the job's frame where that is still owed."""
        running = self._jobs.finish(result.job, result.results)
        if running is None:
            self.counters.ignored_results += 1
            return None
        self._model_id = result.model_id
        if self._recall is not None:
            self._recall.note_search(result.job.frame.stamp_ns, result.results)
        vocabulary = self._jobs.asked.vocabulary
        if running.snapshot is None:
            job, turns = result.job, self._jobs.turns
            return answer_keyframe(job.frame, result.results, result.model_id, vocabulary, turns)
        self._take_over(result, running.snapshot, vocabulary)
        return None

    def abandon(self, job: KeyframeJob) -> None:
        """The job failed or was cancelled; another may be taken."""
        if self._jobs.give_up(job) is None:
            return
        self.counters.failed_jobs += 1
        if not job.late:
            self.counters.unanswered += not self.options.propagate
            self._schedule.reset()
            self._prune()

    def _carry_to(self, frame: Frame) -> Segmentation:
        asked = self._jobs.asked
        if not asked.vocabulary.asked:
            self._tracker.reset()
            self._jobs.forget_jobs()
            self._schedule.reset()
        image = prepare(frame, self.options.tuning)
        self._tracker.advance(image)
        newest = self._tracker.snapshots[-1] if self._tracker.snapshots else None
        self._still = newest is not None and newest.is_still
        self.counters.still_frames += self._still
        self._withdraw({q.prompt for q in asked.vocabulary.asked})
        drawn = self._tracker.draw()
        answer = answer_carried(
            frame,
            drawn,
            self._model_id,
            asked.vocabulary,
            asked.searches,
            self._jobs.turns,
            self.options.max_mask_age_s,
            self.options.tuning.confidence,
        )
        self.counters.carried_frames += any(i.propagated for i in answer.instances)
        return answer

    def _withdraw(self, asked: set[Prompt]) -> None:
        """End the tracks that nobody asks for any more, and those that are too old."""
        unwanted = [t for t in self._tracker.tracks if not any(m.prompt in asked for m in t.matches)]
        wanted = [t for t in self._tracker.tracks if t not in unwanted]
        old = [t for t in wanted if self._jobs.is_outlived(t.keyframe_ns, t.last_seen_ns, t.prompts)]
        self.counters.withdrawn += len(old)
        self._tracker.end([*unwanted, *old])

    def _take_keyframe(self) -> KeyframeJob | None:
        frame, image = self._newest, self._tracker.image
        if frame is None:
            return None
        queries, waits = self._jobs.due(frame.stamp_ns)
        rests = self._still and self._jobs.has_rest and self.options.decode_budget_s > 0
        if not queries or self._schedule.due(frame.stamp_ns, image, self._still, waits and not rests) is None:
            return self._take_rest(frame.stamp_ns) if rests else None
        job = self._jobs.plan_pass(frame, queries)
        self._newest = None
        self._schedule.submitted(frame.stamp_ns, image)
        self._jobs.begin_pass(job, self._tracker.take_snapshot(frame) if self.options.propagate else None)
        self.counters.keyframes += 1
        return job

    def _take_rest(self, stamp_ns: int) -> KeyframeJob | None:
        """In a still scene the next prompts have their turn on the last embedding, as often as passes may begin."""
        rested_ns = self._rested_ns
        if rested_ns is not None and (stamp_ns - rested_ns) / 1e9 < self.options.keyframe_period_s:
            return None
        self._rested_ns = stamp_ns
        job = self._jobs.begin_late(is_rest=True)
        self.counters.late_decodes += job is not None
        return job

    def _take_over(self, result: KeyframeResult, snapshot: Snapshot, vocabulary: Vocabulary) -> None:
        """Give a keyframe's instances to the tracker."""
        job = result.job
        if not job.late:
            now_ns = self._jobs.now_ns
            self._schedule.delivered((now_ns - snapshot.stamp_ns) / 1e9 if now_ns is not None else 0.0)
        detections = detections_from(
            result.results,
            mask_thresholds(vocabulary.asked),
            snapshot.stamp_ns,
            snapshot.image.size,
            self.options.merge_prompts,
            self.options.tuning.detection,
        )
        self._tracker.turn_s = max((turn.wait_s for turn in self._jobs.turns.values() if turn.passes > 1), default=0.0)
        self._tracker.deliver(snapshot, detections, frozenset(job.prompts), job.left_out)
        if not job.late:  # a late query's models are yet to be learnt
            self._prune()

    def _prune(self) -> None:
        """Forget the keyframes that nothing refers to any more."""
        self._tracker.keep_only(self._jobs.snapshots)
