"""Streaming accuracy: at every camera frame, what was last published against the truth of that frame.

After "Towards Streaming Perception" (Li, Wang, Ramanan, ECCV 2020). A frame's time lasts until the next frame comes:
what is published by then counts for it. Start-up until the first result is left out, and so are things of less than
200 visible pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.streaming.answer import Published
from samlite_ros.types import Instance, Segmentation

LEAST_VISIBLE_PX = 200
MATCHED_IOU = 0.5
GHOST_IOU = 0.1
IN_KEYFRAME_PX = 60
CAUSES = ("not in the keyframe", "partly in the keyframe", "partly hidden now", "whole")
"""Why a thing's mask is wrong; the first cannot be avoided."""


@dataclass(frozen=True)
class Observation:
    """One thing in one frame.

    Args:
        frame: Number of the frame.
        thing: Its id.
        iou: Overlap with the best of the published instances.
        whole: It is wholly in the image and nothing hides it.
        track_id: Of that instance; 0 = none.
        cause: Index into CAUSES.
    """

    frame: int
    thing: int
    iou: float
    whole: bool
    track_id: int
    cause: int


@dataclass
class Score:
    """What one run is worth.

    Args:
        observations: All things in all frames that count.
        age_frames_max: By how many frames what was published was late, at the most.
        knowledge_age_s_max: Greatest age of the image that a published mask came from [s].
        answered: Share of the frames that got an answer of their own.
        ghosts: Published instances that are no thing at all, per frame.
        work_s: The stream's work per frame [s].
        seconds: Length of what was judged [s].
    """

    observations: list[Observation] = field(default_factory=list)
    age_frames_max: int = 0
    knowledge_age_s_max: float = 0.0
    answered: float = 0.0
    ghosts: float = 0.0
    work_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def iou(self, whole_only: bool = False) -> float:
        """Mean overlap; NaN where there was nothing to see."""
        values = [o.iou for o in self.observations if o.whole or not whole_only]
        return float(np.mean(values)) if values else float("nan")

    def error_by_cause(self, whole_only: bool = False) -> list[float]:
        """Share of the mean error (1 - IoU) that each of CAUSES has."""
        judged = [o for o in self.observations if o.whole or not whole_only]
        return [sum(1 - o.iou for o in judged if o.cause == c) / max(len(judged), 1) for c in range(len(CAUSES))]

    def id_switches(self) -> int:
        """How often a thing's track id changed."""
        return sum(before != after for ids in self._matched_ids().values() for before, after in pairwise(ids))

    def fragmentations(self) -> int:
        """How often a thing that is in sight was lost and found again."""
        count = 0
        for thing in {o.thing for o in self.observations}:
            frames = [o for o in self.observations if o.thing == thing]
            for before, after in pairwise(frames):
                count += before.iou <= MATCHED_IOU < after.iou and any(
                    o.iou > MATCHED_IOU for o in frames if o.frame < before.frame
                )
        return count

    def idf1(self) -> float:
        """Identity F1 (Ristani et al. 2016): share of the observations under the best pairing of things and tracks."""
        matched = [(o.thing, o.track_id) for o in self.observations if o.iou > MATCHED_IOU]
        things, tracks = sorted({t for t, _ in matched}), sorted({t for _, t in matched})
        together = np.zeros((len(things), len(tracks)))
        for thing, track in matched:
            together[things.index(thing), tracks.index(track)] += 1
        rows, columns = linear_sum_assignment(together, maximize=True)
        published = sum(o.track_id > 0 for o in self.observations)
        return float(2 * together[rows, columns].sum() / max(len(self.observations) + published, 1))

    def _matched_ids(self) -> dict[int, list[int]]:
        ids: dict[int, list[int]] = {}
        for o in self.observations:
            if o.iou > MATCHED_IOU and o.track_id:
                ids.setdefault(o.thing, []).append(o.track_id)
        return ids


def score_run(truth: Sequence[TruthFrame], published: Sequence[Published]) -> Score:
    """Judge the answers of one run."""
    stamps = [t.frame.stamp_ns for t in truth]
    period_ns = int(np.median(np.diff(stamps)))
    number = {stamp: i for i, stamp in enumerate(stamps)}
    answers = sorted(published, key=lambda p: p.at_ns)
    first_ns = next((p.at_ns for p in answers if p.answer.keyframe_stamp_ns), None)
    score = Score(answered=len({p.answer.stamp_ns for p in answers}) / len(truth))
    score.work_s = [p.work_s for p in answers if p.work_s]
    if first_ns is None:
        return score
    at, judged = -1, 0
    for index, frame in enumerate(truth):
        ends_ns = stamps[index] + period_ns
        while at + 1 < len(answers) and answers[at + 1].at_ns < ends_ns:
            at += 1
        if ends_ns <= first_ns:
            continue
        judged += 1
        answer = answers[at].answer
        score.age_frames_max = max(score.age_frames_max, index - number[answer.stamp_ns])
        ages = [answer.stamp_ns - i.keyframe_stamp_ns for i in answer.instances]
        score.knowledge_age_s_max = max([score.knowledge_age_s_max, *(age / 1e9 for age in ages)])
        keyframe = truth[number[answer.keyframe_stamp_ns]] if answer.keyframe_stamp_ns else None
        score.observations += _observe(index, frame, answer, keyframe)
        score.ghosts += sum(v < GHOST_IOU for v in _overlaps(frame.ids, answer.instances).max(1, initial=0.0))
    score.ghosts /= max(judged, 1)
    score.seconds = judged * period_ns / 1e9
    return score


def score_keyframes(truth: Sequence[TruthFrame], published: Sequence[Published]) -> Score:
    """Judge each answer against the very frame that it is of, as if the network took no time: for identities."""
    number = {t.frame.stamp_ns: i for i, t in enumerate(truth)}
    score = Score(seconds=(truth[-1].frame.stamp_ns - truth[0].frame.stamp_ns) / 1e9)
    for entry in published:
        index = number[entry.answer.stamp_ns]
        score.observations += _observe(index, truth[index], entry.answer, truth[index])
    return score


def _observe(index: int, frame: TruthFrame, answer: Segmentation, keyframe: TruthFrame | None) -> list[Observation]:
    overlap = _overlaps(frame.ids, answer.instances)
    areas = np.bincount(frame.ids.ravel(), minlength=256)
    observations = []
    for thing in np.flatnonzero(areas >= LEAST_VISIBLE_PX):
        if thing == 0:
            continue
        best = int(overlap[:, thing].argmax()) if len(overlap) else -1
        iou = float(overlap[best, thing]) if best >= 0 else 0.0
        track_id = answer.instances[best].track_id if iou > 0 else 0
        whole = int(thing) in frame.whole
        observations.append(Observation(index, int(thing), iou, whole, track_id, _cause(int(thing), whole, keyframe)))
    return observations


def _overlaps(ids: NDArray[np.uint8], instances: Sequence[Instance]) -> NDArray[np.float64]:
    """IoU of each instance with each thing, (instances, 256); column 0 means nothing."""
    areas = np.bincount(ids.ravel(), minlength=256)
    out = np.zeros((len(instances), 256))
    for row, instance in enumerate(instances):
        shared = np.bincount(ids[instance.mask.window][instance.mask.inside], minlength=256)
        out[row] = shared / np.maximum(areas + instance.mask.area - shared, 1)
    out[:, 0] = 0
    return out


def _cause(thing: int, whole: bool, keyframe: TruthFrame | None) -> int:
    if keyframe is None or np.count_nonzero(keyframe.ids == thing) < IN_KEYFRAME_PX:
        return 0
    if thing not in keyframe.whole:
        return 1
    return 3 if whole else 2
