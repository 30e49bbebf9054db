"""Answers against truth, frame by frame, and as the robot would have seen them while they were late."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from samlite_ros.bags.results import FrameKey, RecordedAnswer
from samlite_ros.errors import BagError
from samlite_ros.evaluation.measures.cases import Case, FoundInstance, make_case
from samlite_ros.evaluation.measures.detection import count_detections
from samlite_ros.evaluation.measures.scores import Scores, score
from samlite_ros.evaluation.measures.standing import Standing
from samlite_ros.evaluation.truth.truth import Truth
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.types import NO_STAMP, Segmentation


@dataclass(frozen=True)
class EvaluationOptions:
    """How to evaluate.

    Args:
        contours: Measure contours (F); the costly part.
        min_visible_px: Smaller true things do not count in streaming IoU [px].
        grace_ns: An answer that is published so long after a frame's stamp still stands for that frame [ns]; the time
            until the next frame comes.
    """

    contours: bool = True
    min_visible_px: int = 200
    grace_ns: int = 0


@dataclass(frozen=True)
class PhraseScores:
    """The measures of one phrase, or of all together.

    Args:
        scores: Over the answered frames.
        recall_all: Recall over all frames with truth since the phrase's first search; what is in one that was not
            answered was not found. NaN = nothing was there.
        streaming_iou: Mean overlap, over all frames and true things, of what was last published; NaN = no true thing.
    """

    scores: Scores
    streaming_iou: float
    recall_all: float


@dataclass(frozen=True)
class FrameError:
    """How wrong one answered frame is: things missed, things too many, and 1 - IoU of those that were found."""

    camera: str
    stamp_ns: int
    error: float


@dataclass(frozen=True)
class Evaluation:
    """The outcome.

    Args:
        overall: Over all phrases.
        phrases: By phrase.
        frames: Every answered frame that has truth, in the order of the answers. A phrase counts in it from its first
            search on.
        truth_frames: Number of frames with truth.
        start_up_frames: Frames before the network's first result was published: left out of streaming IoU.
        phrases_unasked: Known to truth, in no answer: not judged.
        phrases_unknown: Asked, not known to truth: not judged.
        model_id: Of the answers.
    """

    overall: PhraseScores
    phrases: Mapping[str, PhraseScores]
    frames: Sequence[FrameError]
    truth_frames: int
    start_up_frames: int
    phrases_unasked: tuple[str, ...]
    phrases_unknown: tuple[str, ...]
    model_id: str

    @property
    def answered(self) -> float:
        """Share of the frames with truth that were answered."""
        return len(self.frames) / self.truth_frames


def evaluate(answers: Iterable[RecordedAnswer], truth: Truth, options: EvaluationOptions | None = None) -> Evaluation:
    """Compare answers with truth.

    Args:
        answers: In the order in which they were published; of several to one frame the last counts.
        truth: What is there. Where both know one camera only, its name does not matter.
        options: How.

    Raises:
        BagError: No answer has a stamp that truth knows, or no phrase is in both.
    """
    judge = _Judge(truth, options or EvaluationOptions())
    for answer in answers:
        judge.take(answer)
    return judge.finish()


@dataclass
class _Camera:
    """One camera while its answers go by, under the name that truth has for it."""

    name: str
    view: Standing[Segmentation]


@dataclass
class _Judge:
    truth: Truth
    options: EvaluationOptions
    cases: dict[tuple[FrameKey, str], Case] = field(default_factory=dict)
    streaming: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    frames: dict[FrameKey, FrameError] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    searched: dict[tuple[str, str], int] = field(default_factory=dict)
    cameras: dict[str, _Camera] = field(default_factory=dict)
    start_up_frames: int = 0
    model_id: str = ""
    first_stamp_ns: int = 0

    def take(self, answer: RecordedAnswer) -> None:
        """The next answer in the order of publishing."""
        segmentation = answer.segmentation
        self.first_stamp_ns = self.first_stamp_ns or segmentation.stamp_ns
        self.model_id = segmentation.model_id or self.model_id
        self.asked.update(r.query.prompt.display for r in segmentation.results)
        camera = self._camera(segmentation.camera)
        self._see_until(camera, answer.published_ns - self.options.grace_ns)
        known = [r.query.prompt.display for r in segmentation.results if r.keyframe_stamp_ns != NO_STAMP]
        for phrase in known:
            self.searched.setdefault((segmentation.camera, phrase), segmentation.stamp_ns)
        camera.view.newest = segmentation
        key = FrameKey(camera.name, segmentation.stamp_ns)
        if key in self.truth.frames:
            self._judge_frame(key, segmentation)

    def finish(self) -> Evaluation:
        """All answers went by."""
        for camera in self.cameras.values():
            self._see_until(camera, None)
        cases = list(self.cases.values())
        if not cases:
            raise BagError(self._why_nothing())
        by_phrase: dict[str, list[Case]] = defaultdict(list)
        for case in cases:
            by_phrase[case.phrase].append(case)
        missed = self._missed()
        streaming = [v for values in self.streaming.values() for v in values]
        return Evaluation(
            overall=_phrase_scores(cases, streaming, missed.total()),
            phrases={p: _phrase_scores(by_phrase[p], self.streaming[p], missed[p]) for p in sorted(by_phrase)},
            frames=list(self.frames.values()),
            truth_frames=len(self.truth.frames),
            start_up_frames=self.start_up_frames,
            phrases_unasked=tuple(sorted(self.truth.phrases - self.asked)),
            phrases_unknown=tuple(sorted(self.asked - self.truth.phrases)),
            model_id=self.model_id,
        )

    def _missed(self) -> Counter[str]:
        """By phrase the things in frames that were not answered, from its first search on."""
        missed: Counter[str] = Counter()
        for (camera, phrase), since_ns in self.searched.items():
            for key, frame in self.truth.frames.items():
                if key.camera == self.cameras[camera].name and key.stamp_ns >= since_ns and key not in self.frames:
                    missed[phrase] += frame.count(phrase)
        return missed

    def _camera(self, name: str) -> _Camera:
        if name not in self.cameras:
            true_name = self.truth.camera_for(name)
            if any(camera.name == true_name for camera in self.cameras.values()):
                raise BagError(f"truth knows one camera, the answers are of {name!r} and {next(iter(self.cameras))!r}")
            stamps = sorted(key.stamp_ns for key in self.truth.frames if key.camera == true_name)
            self.cameras[name] = _Camera(true_name, Standing(stamps))
        return self.cameras[name]

    def _judge_frame(self, key: FrameKey, answer: Segmentation) -> None:
        error = 0.0
        for phrase in self._judged(answer):
            case = self._compare(key, phrase, answer, self.options.contours)
            self.cases[key, phrase] = case
            error += _error_of(case)
        self.frames[key] = FrameError(answer.camera, key.stamp_ns, round(error, 6))

    def _see_until(self, camera: _Camera, before_ns: int | None) -> None:
        """Look at what stood at each true frame up to a moment [ns]; None = to the end."""
        for stamp_ns, standing in camera.view.until(before_ns):
            key = FrameKey(camera.name, stamp_ns)
            judged = self._judged(standing) if standing is not None else []
            if standing is None or not judged:
                self.start_up_frames += 1
                continue
            for phrase in judged:
                self._see(key, phrase, standing)

    def _see(self, key: FrameKey, phrase: str, standing: Segmentation) -> None:
        case = self.cases.get((key, phrase)) if standing.stamp_ns == key.stamp_ns else None
        case = case or self._compare(key, phrase, standing, contours=False)
        counted = case.counted & (case.true_areas >= self.options.min_visible_px)
        self.streaming[phrase] += case.region_j[counted].tolist()

    def _judged(self, answer: Segmentation) -> list[str]:
        """Phrases of an answer that truth knows, from when they were first searched on."""
        asked = dict.fromkeys(r.query.prompt.display for r in answer.results)
        return [p for p in asked if p in self.truth.phrases and (answer.camera, p) in self.searched]

    def _compare(self, key: FrameKey, phrase: str, answer: Segmentation, contours: bool) -> Case:
        found = list(_found(answer, phrase))
        frame = self.truth.frames[key]
        if frame.size != answer.size:
            raise BagError(f"truth of stamp {key.stamp_ns} ns is of size {frame.size}, the answer of {answer.size}")
        if self.truth.regions_only:
            found = _merged(found)
        return make_case(key.stamp_ns, key.camera, phrase, found, frame.instances(phrase), contours)

    def _why_nothing(self) -> str:
        stamps = [key.stamp_ns for key in self.truth.frames]
        if self.frames:
            return (
                f"truth knows {sorted(self.truth.phrases)}, the answers speak of {sorted(self.asked)}: none is in both"
            )
        if not self.truth.cameras & {camera.name for camera in self.cameras.values()}:
            return f"truth is of the cameras {sorted(self.truth.cameras)}, the answers are of {sorted(self.cameras)}"
        return (
            f"no answer has a stamp that truth knows: truth is from {min(stamps)} to {max(stamps)} ns, "
            f"the first answer is of {self.first_stamp_ns} ns"
        )


def _phrase_scores(cases: Sequence[Case], streaming: Sequence[float], missed: int) -> PhraseScores:
    """Of some cases; `missed` things were in frames that have none."""
    scores = score(cases)
    true = scores.detection.true + missed
    return PhraseScores(scores, _mean(streaming), scores.detection.true_positives / true if true else float("nan"))


def _found(answer: Segmentation, phrase: str) -> Iterator[FoundInstance]:
    for instance in answer.instances:
        scores = [m.score for m in instance.matches if m.query.prompt.display == phrase]
        if scores:
            age_ms = (answer.stamp_ns - instance.keyframe_stamp_ns) / 1e6
            yield FoundInstance(instance.mask, max(scores), instance.track_id, age_ms)


def _merged(found: Sequence[FoundInstance]) -> list[FoundInstance]:
    """All instances as one region, for truth that does not tell them apart."""
    if len(found) < 2:
        return list(found)
    union = np.logical_or.reduce([f.mask.full() for f in found])
    best = max(found, key=lambda f: f.score)
    return [FoundInstance(mask_from_array(union), best.score, best.track_id, max(f.age_ms for f in found))]


def _error_of(case: Case) -> float:
    counts = count_detections([case])
    return float(counts.true - sum(counts.ious) + counts.false_positives)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
