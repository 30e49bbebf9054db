"""Streaming accuracy: at every camera frame, what was last published against the truth of that frame.

After "Towards Streaming Perception" (Li, Wang, Ramanan, ECCV 2020). A frame's time lasts until the next frame comes:
what is published by then counts for it. Start-up until the first result is left out, and so are things of less than
200 visible pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from samlite_ros.evaluation.measures.cases import Case, FoundInstance, make_case
from samlite_ros.evaluation.measures.causes import cause_of, error_by_cause
from samlite_ros.evaluation.measures.detection import count_ghosts
from samlite_ros.evaluation.measures.identity import count_fragmentations, count_sighted_identities, count_switches
from samlite_ros.evaluation.measures.sightings import Sighting, sightings_of
from samlite_ros.evaluation.measures.standing import Standing
from samlite_ros.evaluation.truth.instances import instances_of_frame
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.streaming.answer import Published
from samlite_ros.types import Segmentation

LEAST_VISIBLE_PX = 200


@dataclass
class StreamScore:
    """What one run is worth.

    Args:
        sightings: All things in all frames that count.
        age_frames_max: By how many frames what was published was late, at the most.
        knowledge_age_s_max: Greatest age of the image that a published mask came from [s].
        answered: Share of the frames that got an answer of their own.
        ghosts: Published instances that are no thing at all, per frame.
        contours: Contour measure of each thing in each frame, where it was asked for.
        work_s: The stream's work per frame [s].
        seconds: Length of what was judged [s].
    """

    sightings: list[Sighting] = field(default_factory=list)
    age_frames_max: int = 0
    knowledge_age_s_max: float = 0.0
    answered: float = 0.0
    ghosts: float = 0.0
    contours: list[float] = field(default_factory=list)
    work_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def iou(self, whole_only: bool = False) -> float:
        """Mean overlap; NaN where there was nothing to see."""
        values = [s.iou for s in self._judged(whole_only)]
        return float(np.mean(values)) if values else float("nan")

    def contour_f(self) -> float:
        """Mean contour measure; NaN where it was not asked for, or nothing was to see."""
        return float(np.mean(self.contours)) if self.contours else float("nan")

    def error_by_cause(self, whole_only: bool = False) -> list[float]:
        """Share of the mean error (1 - IoU) that each of `causes.CAUSES` has."""
        return error_by_cause(self._judged(whole_only))

    def id_switches(self) -> int:
        """How often a thing's track id changed."""
        return count_switches(self.sightings)

    def fragmentations(self) -> int:
        """How often a thing that is in sight was lost and found again."""
        return count_fragmentations(self.sightings)

    def idf1(self) -> float:
        """Identity F1 of what covers the things best; 0 where nothing was seen."""
        return count_sighted_identities(self.sightings).idf1 if self.sightings else 0.0

    def _judged(self, whole_only: bool) -> list[Sighting]:
        return [s for s in self.sightings if s.whole or not whole_only]


def score_run(truth: Sequence[TruthFrame], published: Sequence[Published], contours: bool = False) -> StreamScore:
    """Judge the answers of one run.

    Args:
        truth: Two frames at least, by growing stamp.
        published: In any order.
        contours: The contour measure too (the costly part).
    """
    stamps = [t.frame.stamp_ns for t in truth]
    number, ends_ns = {stamp: i for i, stamp in enumerate(stamps)}, _ends_ns(stamps)
    score = StreamScore(answered=len({p.answer.stamp_ns for p in published}) / len(truth))
    score.work_s = [p.work_s for p in published if p.work_s]
    judged_ns = []
    for index, answer in judged_frames(truth, published):
        judged_ns.append(ends_ns[index] - stamps[index])
        score.age_frames_max = max(score.age_frames_max, index - number[answer.stamp_ns])
        ages = [answer.stamp_ns - i.keyframe_stamp_ns for i in answer.instances]
        score.knowledge_age_s_max = max([score.knowledge_age_s_max, *(age / 1e9 for age in ages)])
        keyframe = truth[number[answer.keyframe_stamp_ns]] if answer.keyframe_stamp_ns else None
        case = case_of(answer, truth[index], contours)
        score.sightings += sightings_of(index, case, partial(cause_of, keyframe=keyframe))
        score.ghosts += count_ghosts(case)
        if contours:
            score.contours += case.contour_f[case.counted].tolist()
    score.ghosts /= max(len(judged_ns), 1)
    score.seconds = sum(judged_ns) / 1e9
    return score


def judged_frames(truth: Sequence[TruthFrame], published: Sequence[Published]) -> Iterator[tuple[int, Segmentation]]:
    """Numbers of the frames whose time is not over before the first result, with what stood when it was."""
    answers = sorted(published, key=lambda p: p.at_ns)
    first_ns = next((p.at_ns for p in answers if p.answer.keyframe_stamp_ns), None)
    ends_ns = _ends_ns([t.frame.stamp_ns for t in truth])
    for index, (end_ns, answer) in enumerate(_standing_at(ends_ns, answers)):
        if first_ns is not None and end_ns > first_ns and answer is not None:
            yield index, answer


def _ends_ns(stamps_ns: Sequence[int]) -> list[int]:
    """When each frame's time is over [ns]: when the next one comes; the last one's lasts as long as is usual."""
    return [*stamps_ns[1:], stamps_ns[-1] + int(np.median(np.diff(stamps_ns)))]


def _standing_at(ends_ns: Sequence[int], answers: Sequence[Published]) -> Iterator[tuple[int, Segmentation | None]]:
    """What stood when each frame's time was over; what is published at that very moment is the next frame's."""
    view = Standing[Segmentation](ends_ns)
    for entry in answers:
        yield from view.until(entry.at_ns + 1)
        view.newest = entry.answer
    yield from view.until(None)


def score_keyframes(truth: Sequence[TruthFrame], published: Sequence[Published]) -> StreamScore:
    """Judge each answer against the very frame that it is of, as if the network took no time: for identities."""
    number = {t.frame.stamp_ns: i for i, t in enumerate(truth)}
    score = StreamScore(seconds=(truth[-1].frame.stamp_ns - truth[0].frame.stamp_ns) / 1e9)
    for entry in published:
        index = number[entry.answer.stamp_ns]
        case = case_of(entry.answer, truth[index])
        score.sightings += sightings_of(index, case, partial(cause_of, keyframe=truth[index]))
    return score


def case_of(answer: Segmentation, truth: TruthFrame, contours: bool = False) -> Case:
    """All that an answer shows, whatever phrase found it, against all that is there."""
    found = [FoundInstance(i.mask, i.confidence, i.track_id) for i in answer.instances]
    things = instances_of_frame(truth, LEAST_VISIBLE_PX)
    return make_case(truth.frame.stamp_ns, "", "", found, things, contours)
