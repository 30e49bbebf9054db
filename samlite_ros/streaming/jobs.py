"""What the network has to do for one camera: the queries, the jobs that run, the embedding that late queries use.

A late query must not wait for the frame that the stream is just answering, so these books have a lock of their own,
which nobody holds for long.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from samlite_ros.streaming.answer import LastSearch, decode_plan
from samlite_ros.streaming.budget import Budget, BudgetLoad
from samlite_ros.streaming.carry.snapshot import Snapshot
from samlite_ros.types import DecodeOptions, Frame, Prompt, PromptResult, Query, Turn, Vocabulary

PACE_GAIN = 0.2
"""Weight of the newest pass in the period of passes."""


@dataclass(frozen=True, eq=False)
class KeyframeJob:
    """Work for the network: find these prompts in this frame.

    Args:
        frame: The frame.
        prompts: Distinct prompts, in the order in which to decode them.
        options: One per prompt.
        late: The frame's image embedding exists already: only decode.
        left_out: Prompts that are asked for too, and were not searched in this frame so far: they wait for their turn.
    """

    frame: Frame
    prompts: tuple[Prompt, ...]
    options: tuple[DecodeOptions, ...]
    late: bool = False
    left_out: frozenset[Prompt] = frozenset()


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
        budget: Which prompts a pass decodes; None = all.
        turn_age_s: What an image showed of prompts that wait for their turn is of no use when it is older [s].
        may_cut: Nobody needs more of a mask than which pixels are inside.

    Attributes:
        now_ns: Stamp of the newest frame [ns]; None = there was none. Set by who takes frames.
    """

    def __init__(
        self, max_age_s: float, budget: Budget | None = None, turn_age_s: float = 0.0, may_cut: bool = False
    ) -> None:
        self._max_age_s, self._turn_age_s = max_age_s, turn_age_s
        self._budget, self._may_cut = budget, may_cut
        self._pace = Pace()
        self._turns: dict[Prompt, Turn] = {}
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
        self._late_left_s = 0.0
        self._told_ns = 0
        self._pace.forget()

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
            if self._budget is not None:
                self._budget.ask(dict.fromkeys(q.prompt for q in vocabulary.asked))

    def is_too_old(self, stamp_ns: int) -> bool:
        """Whether masks of this stamp [ns] are no longer to be shown."""
        now_ns = self.now_ns
        return now_ns is not None and now_ns - stamp_ns > self._max_age_s * 1e9

    def is_outlived(self, stamp_ns: int, seen_ns: int, prompts: Collection[Prompt]) -> bool:
        """Whether a mask is no longer to be shown.

        One that waits for its turn lives longer, while others have theirs: it was not looked for since it was seen, and
        the network has told something lately.

        Args:
            stamp_ns: Of the mask [ns].
            seen_ns: Stamp of the newest keyframe in which the thing was found [ns].
            prompts: What it answers.
        """
        now_ns = self.now_ns
        if self._budget is None or now_ns is None or not self.is_too_old(stamp_ns):
            return self.is_too_old(stamp_ns)
        with self._lock:
            searches = self._searches
            waits = any(p in searches and searches[p].keyframe_ns <= seen_ns for p in prompts)
            told_ns = self._told_ns
        return not waits or self.is_too_old(told_ns) or now_ns - stamp_ns > self._turn_age_s * 1e9

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
            self._pace.note(job.frame.stamp_ns)

    def plan_pass(self, frame: Frame, due: Sequence[Query]) -> KeyframeJob:
        """The job of a pass over a frame: those of the queries that may be searched now whose turn it is."""
        with self._lock:
            asked = _priorities(self._vocabulary.asked)
            if self._budget is not None:
                turn = set(self._budget.plan(_priorities(due), asked))
                self._note_turns(self._budget)
                due = [q for q in due if q.prompt in turn]
            prompts, options = decode_plan(due, self._may_cut)
            return KeyframeJob(frame, prompts, options, left_out=frozenset(asked.keys() - prompts))

    def begin_late(self, is_rest: bool = False) -> KeyframeJob | None:
        """Prompts to decode on the image that the last finished pass embedded, None = none. The job counts as begun.

        Args:
            is_rest: The image is as good as a new one: where prompts take turns, the next ones have theirs on it. Else
                only those that were never searched are decoded, for as long as one pass's share of time.
        """
        with self._lock:
            snapshot = self._embedded
            if snapshot is None or self._late_in_flight is not None or self.is_too_old(snapshot.stamp_ns):
                return None
            queries = [q for q in self._due(snapshot.stamp_ns) if q.prompt not in self._decoded]
            if self._budget is not None:
                queries = self._whose_turn(self._budget, queries, is_rest)
            if not queries:
                return None
            prompts, options = decode_plan(queries, self._may_cut)
            left_out = self._prompts() - self._decoded - set(prompts)
            job = KeyframeJob(snapshot.frame, prompts, options, late=True, left_out=frozenset(left_out))
            self._late_in_flight = Running(job, snapshot)
            self._note_submission(job)
            return job

    def _whose_turn(self, budget: Budget, queries: Sequence[Query], is_rest: bool) -> list[Query]:
        asked = _priorities(self._vocabulary.asked)
        if is_rest:
            turn = set(budget.plan(_priorities(queries), asked)) if queries else set()
            if turn and self.now_ns is not None:
                self._pace.note(self.now_ns)
        else:
            new = _priorities([q for q in queries if q.prompt not in self._submitted_ns])
            turn = set(budget.plan_new(new, asked, self._late_left_s))
            self._late_left_s -= budget.cost_s(turn)
        if turn:
            self._note_turns(budget)
        return [q for q in queries if q.prompt in turn]

    @property
    def has_rest(self) -> bool:
        """Something could be decoded on the image that the last finished pass embedded."""
        with self._lock:
            snapshot = self._embedded
            if snapshot is None or self.is_too_old(snapshot.stamp_ns):
                return False
            return any(q.prompt not in self._decoded for q in self._due(snapshot.stamp_ns))

    @property
    def turns(self) -> dict[Prompt, Turn]:
        """How prompts take turns, as of the last plan; empty where each pass decodes all."""
        return self._turns

    def _note_turns(self, budget: Budget) -> None:
        period_s, overload = self._pace.period_s, budget.load.overload
        self._turns = {}
        for prompt in self._prompts():
            passes, usual = budget.wait_passes(prompt), budget.period_passes(prompt)
            self._turns[prompt] = Turn(passes, passes * period_s, self._complaint(usual, usual * period_s, overload))

    def _complaint(self, passes: int, wait_s: float, overload: str) -> str:
        if passes > 1 and wait_s > self._turn_age_s:
            late = f"its turn comes every {passes} passes, {wait_s:.0f} s, masks are carried for {self._turn_age_s:g} s"
            return f"{overload}; {late}" if overload else late
        return overload

    @property
    def load(self) -> BudgetLoad:
        """What is asked of the budget."""
        return BudgetLoad() if self._budget is None else self._budget.load

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
            self._told_ns = self.now_ns or 0
            asked = self._prompts()
            found = {r.prompt: LastSearch(job.frame.stamp_ns, r.presence) for r in results if r.prompt in asked}
            self._searches = {**self._searches, **found}
            if self._budget is not None:
                self._budget.costs.learn({result.prompt: result.decode_s for result in results})
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
            if running is not None and self._budget is not None:
                self._budget.give_back(job.prompts)
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
        self._late_left_s = 0.0 if self._budget is None else self._budget.budget_s

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


class Pace:
    """How often passes begin."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._last_ns: int | None = None
        self.period_s = 0.0

    def note(self, stamp_ns: int) -> None:
        """A pass begins with a frame of this stamp [ns]."""
        last_ns, self._last_ns = self._last_ns, stamp_ns
        if last_ns is not None:
            now_s = (stamp_ns - last_ns) / 1e9
            self.period_s = now_s if self.period_s == 0 else (1 - PACE_GAIN) * self.period_s + PACE_GAIN * now_s


def _priorities(queries: Sequence[Query]) -> dict[Prompt, int]:
    """By prompt the highest priority of its queries."""
    found: dict[Prompt, int] = {}
    for query in queries:
        found[query.prompt] = max(found.get(query.prompt, query.priority), query.priority)
    return found
