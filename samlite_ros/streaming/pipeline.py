"""One camera's stream: frames in, answers out, work for the network in between.

No threads and no clock of its own: whoever drives it (the node's stream worker, the bag replayer, a benchmark on a
virtual clock) calls `step` for each frame, hands `take_job` to the network when the network is free, and gives the
result back with `deliver`, in whatever order these happen to occur on its clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from samlite_ros.types import (
    DecodeOptions,
    Frame,
    Instance,
    PhraseResult,
    Query,
    QueryMatch,
    QueryResult,
    Segmentation,
    Vocabulary,
)


@dataclass(frozen=True)
class StreamingOptions:
    """How the stream is answered.

    Args:
        propagate: True: every frame is answered at once with masks carried to it. False: only keyframes are answered,
            each with what the network found in that very frame.
        keyframe_period_s: Least time between two keyframes [s]; 0 = as fast as the network goes.
        max_mask_age_s: Masks older than this are withdrawn [s].
    """

    propagate: bool = False
    keyframe_period_s: float = 0.0
    max_mask_age_s: float = 2.0


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


class StreamingPipeline:
    """Answers one camera's frames. Owned by one thread."""

    def __init__(self, options: StreamingOptions, camera: str = "") -> None:
        self.options = options
        self.camera = camera
        self._vocabulary = Vocabulary()
        self._newest: Frame | None = None
        self._last_submitted_ns: int | None = None
        self._in_flight: KeyframeJob | None = None

    def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Search for these queries from now on; those of other cameras are left out."""
        self._vocabulary = Vocabulary(
            vocabulary.epoch,
            tuple(q for q in vocabulary.queries if not q.cameras or self.camera in q.cameras),
        )

    def reset(self) -> None:
        """Forget every frame and mask (time jumped back, the camera changed); a running job's result is ignored."""
        self._newest = self._in_flight = self._last_submitted_ns = None

    def step(self, frame: Frame) -> Segmentation | None:
        """Take the next frame; returns its answer, or None where the answer comes later or never.

        Args:
            frame: Newer than every frame before it.
        """
        self._newest = frame
        return None

    def take_job(self) -> KeyframeJob | None:
        """What the network, being free, should do now; None = nothing worth doing. The job counts as begun."""
        frame = self._newest
        if frame is None or self._in_flight is not None or not self._vocabulary.queries:
            return None
        last = self._last_submitted_ns
        if last is not None and frame.stamp_ns < last + int(self.options.keyframe_period_s * 1e9):
            return None
        self._newest = None
        self._last_submitted_ns = frame.stamp_ns
        phrases, options = decode_plan(self._vocabulary.queries)
        self._in_flight = KeyframeJob(frame, phrases, options)
        return self._in_flight

    def deliver(self, result: KeyframeResult) -> Segmentation | None:
        """Take the network's answer; returns the answer of the job's frame where that is still owed."""
        if result.job is not self._in_flight:
            return None
        self._in_flight = None
        return answer_keyframe(result, self._vocabulary)

    def abandon(self, job: KeyframeJob) -> None:
        """The job failed or was cancelled; another may be taken."""
        if job is self._in_flight:
            self._in_flight = None


def decode_plan(queries: Sequence[Query]) -> tuple[tuple[str, ...], tuple[DecodeOptions, ...]]:
    """Distinct phrases, highest priority first, each with the loosest options that its queries need."""
    by_phrase: dict[str, list[Query]] = {}
    for query in sorted(queries, key=lambda q: -q.priority):
        by_phrase.setdefault(query.phrase, []).append(query)
    options = tuple(
        DecodeOptions(min(q.score_threshold for q in group), max(q.max_instances for q in group))
        for group in by_phrase.values()
    )
    return tuple(by_phrase), options


def answer_keyframe(result: KeyframeResult, vocabulary: Vocabulary) -> Segmentation:
    """The answer for a keyframe itself: what the network found, for the queries that are active now."""
    frame = result.job.frame
    by_phrase = {r.phrase: r for r in result.results}
    results, instances = [], []
    for phrase in dict.fromkeys(q.phrase for q in vocabulary.queries):
        found = by_phrase.get(phrase)
        queries = [q for q in vocabulary.queries if q.phrase == phrase]
        if found is None:
            results += [QueryResult(q, 0, float("nan"), 0) for q in queries]
            continue
        counts = dict.fromkeys((q.key for q in queries), 0)
        for score, box, mask in zip(found.scores, found.boxes_xyxy, found.masks, strict=True):
            matches = tuple(
                QueryMatch(q, float(score))
                for q in queries
                if score >= q.score_threshold and counts[q.key] < q.max_instances
            )
            if not matches:
                continue
            for match in matches:
                counts[match.query.key] += 1
            x0, y0, x1, y1 = (float(v) for v in box)
            instances.append(Instance(0, matches, float(score), False, frame.stamp_ns, (x0, y0, x1, y1), mask))
        results += [QueryResult(q, frame.stamp_ns, found.presence, counts[q.key]) for q in queries]
    instances.sort(key=lambda i: -i.confidence)
    return Segmentation(
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        camera=frame.camera,
        size=frame.size,
        model_id=result.model_id,
        vocabulary_epoch=vocabulary.epoch,
        keyframe_stamp_ns=frame.stamp_ns,
        results=tuple(results),
        instances=tuple(instances),
    )
