"""What the network has to do for one camera: the queries, the jobs that run, the embedding that late queries use.

A late query must not wait for the frame that the stream is just answering, so these books have a lock of their own,
which nobody holds for long.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from samlite_ros.streaming.answer import LastSearch, decode_plan
from samlite_ros.streaming.carry.snapshot import Snapshot
from samlite_ros.types import DecodeOptions, Frame, Prompt, PromptResult, Query, Vocabulary


@dataclass(frozen=True, eq=False)
class KeyframeJob:
    """Work for the network: find these prompts in this frame.

    Args:
        frame: The frame.
        prompts: Distinct prompts, in the order in which to decode them.
        options: One per prompt.
        late: The frame's image embedding exists already: only decode.
    """

    frame: Frame
    prompts: tuple[Prompt, ...]
    options: tuple[DecodeOptions, ...]
    late: bool = False


@dataclass(frozen=True, eq=False)
class Running:
    """A job that the network has begun, and its moment; no snapshot where nothing is carried."""

    job: KeyframeJob
    snapshot: Snapshot | None


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked, and what is known of it, at one moment.

    Args:
        vocabulary: The queries; the network searches for those that are pending too.
        searches: The last search for each prompt; never changed, only replaced.
    """

    vocabulary: Vocabulary
    searches: dict[Prompt, LastSearch]


class JobBook:
    """Keeps what is asked and what the network does. Every method may be called from any thread, and is quick.

    Args:
        max_age_s: What an image showed is of no use when it is older [s].

    Attributes:
        now_ns: Stamp of the newest frame [ns]; None = there was none. Set by who takes frames.
    """

    def __init__(self, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._vocabulary = Vocabulary()
        self._forget()

    def _forget(self) -> None:
        self.now_ns: int | None = None
        self._searches: dict[Prompt, LastSearch] = {}
        self._submitted_ns: dict[Prompt, int] = {}
        self._forget_jobs()

    def _forget_jobs(self) -> None:
        self._in_flight: Running | None = None
        self._late_in_flight: Running | None = None
        self._late_done: list[Running] = []
        self._embedded: Snapshot | None = None
        self._decoded: set[Prompt] = set()

    def forget(self) -> None:
        """Forget every frame and job; the vocabulary stays."""
        with self._lock:
            self._forget()

    def forget_jobs(self) -> None:
        """Forget what runs and what is embedded, unless something is asked again by now."""
        with self._lock:
            if not self._vocabulary.asked:
                self._forget_jobs()

    @property
    def asked(self) -> Asked:
        """What is asked now."""
        with self._lock:
            return Asked(self._vocabulary, self._searches)

    @property
    def has_running_pass(self) -> bool:
        """The network embeds an image."""
        return self._in_flight is not None

    def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Ask for these queries from now on."""
        with self._lock:
            self._vocabulary = vocabulary
            asked = self._prompts()
            self._searches = {prompt: s for prompt, s in self._searches.items() if prompt in asked}
            self._submitted_ns = {prompt: s for prompt, s in self._submitted_ns.items() if prompt in asked}
            self._decoded &= asked

    def is_too_old(self, stamp_ns: int) -> bool:
        """Whether masks of this stamp [ns] are no longer to be shown."""
        now_ns = self.now_ns
        return now_ns is not None and now_ns - stamp_ns > self._max_age_s * 1e9

    def due(self, stamp_ns: int) -> tuple[list[Query], bool]:
        """Queries whose rate allows a search at this stamp [ns]; whether one of them was never searched."""
        with self._lock:
            queries = self._due(stamp_ns)
            return queries, any(q.prompt not in self._submitted_ns for q in queries)

    def begin_pass(self, job: KeyframeJob, snapshot: Snapshot | None) -> None:
        """The network begins with a keyframe."""
        with self._lock:
            self._in_flight = Running(job, snapshot)
            self._note_submission(job)

    def begin_late(self) -> KeyframeJob | None:
        """Prompts to decode on the image that the last finished pass embedded, None = none. The job counts as begun."""
        with self._lock:
            snapshot = self._embedded
            if snapshot is None or self._late_in_flight is not None or self.is_too_old(snapshot.stamp_ns):
                return None
            queries = [q for q in self._due(snapshot.stamp_ns) if q.prompt not in self._decoded]
            if not queries:
                return None
            job = KeyframeJob(snapshot.frame, *decode_plan(queries), late=True)
            self._late_in_flight = Running(job, snapshot)
            self._note_submission(job)
            return job

    def note_done(self, job: KeyframeJob) -> None:
        """The network has done this, and its result is on the way.

        Late queries are decoded on a pass's image from now on, and others may follow a late query that is done.
        """
        with self._lock:
            running = self._in_flight
            if running is not None and running.job is job:
                self._use_embedding(running)
            late = self._late_in_flight
            if late is not None and late.job is job:
                self._late_in_flight = None
                self._late_done.append(late)
                self._note_decoded(late)

    def finish(self, job: KeyframeJob, results: Sequence[PromptResult]) -> Running | None:
        """Take a job off the list of those that run, and note what it found; None = it is not on the list."""
        with self._lock:
            running = self._take_off(job)
            if running is None:
                return None
            asked = self._prompts()
            found = {r.prompt: LastSearch(job.frame.stamp_ns, r.presence) for r in results if r.prompt in asked}
            self._searches = {**self._searches, **found}
            if job.late:
                self._note_decoded(running)
            elif running.snapshot is not self._embedded:  # or it is used already, and more has been decoded on it
                self._use_embedding(running)
            return running

    def give_up(self, job: KeyframeJob) -> Running | None:
        """Take a job that came to nothing off the list: its prompts wait again. None = it is not on the list."""
        with self._lock:
            running = self._take_off(job)
            for prompt in job.prompts if running is not None else ():
                self._submitted_ns.pop(prompt, None)
            return running

    @property
    def snapshots(self) -> list[Snapshot]:
        """Of the keyframes that jobs refer to, or may refer to."""
        with self._lock:
            running = [r.snapshot for r in (self._in_flight, self._late_in_flight, *self._late_done) if r is not None]
            return [s for s in (*running, self._embedded) if s is not None]

    def _prompts(self) -> set[Prompt]:
        return {q.prompt for q in self._vocabulary.asked}

    def _use_embedding(self, running: Running) -> None:
        """What was withdrawn meanwhile counts as not decoded: if it comes back, it is decoded anew."""
        self._embedded, self._decoded = running.snapshot, self._prompts().intersection(running.job.prompts)

    def _note_decoded(self, late: Running) -> None:
        if late.snapshot is self._embedded:
            self._decoded |= self._prompts().intersection(late.job.prompts)

    def _due(self, stamp_ns: int) -> list[Query]:
        def allowed(query: Query) -> bool:
            last = self._submitted_ns.get(query.prompt)
            return last is None or query.max_rate_hz <= 0 or stamp_ns - last >= 1e9 / query.max_rate_hz

        return [q for q in self._vocabulary.asked if allowed(q)]

    def _note_submission(self, job: KeyframeJob) -> None:
        """What was withdrawn meanwhile is searched as if for the first time, if it comes back."""
        self._submitted_ns.update(dict.fromkeys(self._prompts().intersection(job.prompts), job.frame.stamp_ns))

    def _take_off(self, job: KeyframeJob) -> Running | None:
        candidates = (self._in_flight, self._late_in_flight, *self._late_done)
        running = next((r for r in candidates if r is not None and r.job is job), None)
        if running is self._in_flight:
            self._in_flight = None
        elif running is self._late_in_flight:
            self._late_in_flight = None
        elif running is not None:
            self._late_done.remove(running)
        return running
