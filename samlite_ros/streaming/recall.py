"""Has it been seen in the last seconds? New prompts are looked for in kept keyframes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from samlite_ros.streaming.answer import decode_plan
from samlite_ros.streaming.backward_search import BackwardSearch
from samlite_ros.types import DecodeOptions, Prompt, PromptResult, Query, Vocabulary

MOST_AT_ONCE = 4
"""So many prompts at most are looked for in one go."""
BUSY_SHARE = 0.05
"""Where the network always has something better to do, looking back may take this share of its time."""


@dataclass(frozen=True)
class RecallJob:
    """Look for prompts in a kept keyframe.

    Args:
        camera: Whose.
        stamp_ns: Of the keyframe [ns].
        prompts: What to look for.
        options: One per prompt; no masks.
    """

    camera: str
    stamp_ns: int
    prompts: tuple[Prompt, ...]
    options: tuple[DecodeOptions, ...]


@dataclass(frozen=True)
class Recalled:
    """A prompt was found in a kept keyframe; one that is newer may be told later.

    Args:
        camera, stamp_ns: Of the keyframe.
        prompt: What was found.
        score: That of the surest instance.
    """

    camera: str
    stamp_ns: int
    prompt: Prompt
    score: float

    @property
    def as_told(self) -> tuple[str, Prompt, int, float]:
        """Camera, prompt, stamp [ns], score."""
        return self.camera, self.prompt, self.stamp_ns, self.score


class RecallBook:
    """What of one camera's past is still to be looked at. Every method may be called from any thread, and is quick.

    A prompt is looked for from the keyframe of its first search back, in each keyframe once at the most.

    Args:
        camera: Its name.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._lock = threading.Lock()
        self._queries: tuple[Query, ...] = ()
        self._searches: dict[Prompt, BackwardSearch | None] = {}
        self._first_ns: int | None = None

    def forget(self) -> None:
        """Keyframes so far are of no use: time or the camera's image changed."""
        with self._lock:
            self._first_ns = None
            self._searches = dict.fromkeys(self._searches)

    def ask(self, vocabulary: Vocabulary) -> None:
        """Look for what is new in this; it is searched in the newest keyframe before."""
        with self._lock:
            known = {query.prompt for query in self._queries}
            self._queries = vocabulary.asked
            asked = dict.fromkeys(query.prompt for query in self._queries)
            self._searches = {p: self._searches.get(p) for p in asked if p in self._searches or p not in known}

    def note_search(self, stamp_ns: int, results: Sequence[PromptResult]) -> None:
        """Prompts were searched in the keyframe of a stamp [ns]."""
        with self._lock:
            if self._first_ns is None:
                self._first_ns = stamp_ns
            for result in results:
                self._note_search(stamp_ns, result.prompt, found=bool(len(result.scores)))

    def take(self, kept_ns: Sequence[int], most: int = MOST_AT_ONCE) -> RecallJob | None:
        """What to look at next; None = nothing. It may be taken again where it came to nothing.

        Args:
            kept_ns: Stamps of the keyframes that are kept, newest first [ns].
            most: Number of prompts.
        """
        with self._lock:
            if self._first_ns is None:
                return None
            usable_ns = [stamp_ns for stamp_ns in kept_ns if stamp_ns >= self._first_ns]
            wanted: dict[int, set[Prompt]] = {}
            for prompt, search in list(self._searches.items()):
                if search is None:
                    continue
                next_ns = search.next_ns(usable_ns)
                if next_ns is None:
                    del self._searches[prompt]  # keyframes that come are newer
                else:
                    wanted.setdefault(next_ns, set()).add(prompt)
            if not wanted:
                return None
            stamp_ns = max(wanted)
            prompts, options = decode_plan([q for q in self._queries if q.prompt in wanted[stamp_ns]])
            cheap = tuple(replace(o, max_instances=1, masks=False) for o in options[:most])
            return RecallJob(self._camera, stamp_ns, prompts[:most], cheap)

    def note_recall(self, job: RecallJob, results: Sequence[PromptResult]) -> list[Recalled]:
        """A job is done; returns what was found. A prompt without a result was looked for in vain."""
        found = {result.prompt: result for result in results if len(result.scores)}
        with self._lock:
            searches = {p: s for p in job.prompts if (s := self._searches.get(p)) is not None}
            for prompt, search in searches.items():
                search.note(job.stamp_ns, prompt in found)
        told = [found[prompt] for prompt in searches if prompt in found]
        return [Recalled(job.camera, job.stamp_ns, r.prompt, float(r.scores[0])) for r in told]

    def _note_search(self, stamp_ns: int, prompt: Prompt, found: bool) -> None:
        if prompt not in self._searches:
            return
        if found:
            del self._searches[prompt]
        elif self._searches[prompt] is None:
            self._searches[prompt] = BackwardSearch(stamp_ns)


class BusyShare:
    """What of a busy network's time looking back may take."""

    def __init__(self) -> None:
        self._left_s = 0.0

    def note_pass(self, took_s: float, cost_s: float) -> None:
        """A pass took so long [s]; of what it allows no more is saved than one look takes."""
        self._left_s = min(self._left_s + BUSY_SHARE * took_s, max(cost_s, BUSY_SHARE * took_s))

    def pays_for(self, cost_s: float) -> bool:
        """Whether a look of this length [s] is allowed now."""
        return cost_s <= self._left_s

    def spend(self, cost_s: float) -> None:
        """Look back for so long [s]."""
        self._left_s -= cost_s
