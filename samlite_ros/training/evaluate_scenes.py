"""Measure a segmenter on rendered scenes that no training has seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.evaluation.measures.cases import FoundInstance, make_case
from samlite_ros.evaluation.measures.detection import DetectionCounts, count_detections, pooled
from samlite_ros.evaluation.truth.instances import instances_of_ids
from samlite_ros.scenes.render import Scene, render_scene
from samlite_ros.scenes.vocabulary import HELD_OUT_PAIRS
from samlite_ros.scenes.world import WorldOptions
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.training.scene_questions import Question, questions
from samlite_ros.types import DecodeOptions, Frame, Prompt, PromptResult

LEAST_AREA_PX = 48 * 48
"""Smaller objects, and detections smaller than this without an object, count neither for nor against."""
MASK_SIDES_PX = (48, 64, 96)
"""Sides of masks for which the best possible IoU is told; the demo network's have 48."""
SIZE_EDGES_PX = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 400)
"""Bins of the square root of the visible area [px]."""
_SEEDS_PER_SET = 1_000_000
ANY_SIZE = WorldOptions(width_px=(12.0, 160.0), tail=(0.0, 0.0))
"""Objects of the further scenes for the curve by size."""


@dataclass(frozen=True)
class Attempt:
    """How well one object was met.

    Args:
        area_px: Its visible pixels.
        iou: IoU with the detection that took it; 0 = missed.
        ceilings: IoU that a perfect mask of MASK_SIDES_PX cells a side has once it is up-sampled.
    """

    area_px: int
    iou: float
    ceilings: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class QuestionScore:
    """How one question was answered.

    Args:
        question: The question.
        counts: Objects and detections of at least 48 x 48 px.
        detected: Number of detections of any size.
        presence_right: Whether presence was judged right; None where only smaller objects are there.
        attempts: One per object of any size.
    """

    question: Question
    counts: DetectionCounts
    detected: int
    presence_right: bool | None
    attempts: tuple[Attempt, ...]


def scene_seed(seed: int, index: int) -> int:
    """Seed of one scene of an evaluation set; training draws its scenes from another stream altogether."""
    return seed * _SEEDS_PER_SET + index


def score_question(
    scene: Scene, question: Question, result: PromptResult, presence_threshold: float = 0.5
) -> QuestionScore:
    """Compare a result with the truth.

    As in COCO's size ranges, objects below 48 x 48 px and what is matched to them don't count, nor do detections below
    that size without an object.
    """
    truth = instances_of_ids(scene.ids, [thing.track_id for thing in question.targets], LEAST_AREA_PX)
    found = [
        FoundInstance(mask, float(score), optional=mask.area < LEAST_AREA_PX)
        for mask, score in zip(result.masks, result.scores, strict=True)
    ]
    case = make_case(scene.stamp_ns, "", question.phrase, found, truth, contours=False)
    present = result.presence > presence_threshold
    judged = bool(case.counted.any()) or not truth
    return QuestionScore(
        question=question,
        counts=count_detections([case]),
        detected=len(found),
        presence_right=(present == bool(truth)) if judged else None,
        attempts=tuple(
            Attempt(thing.mask.area, iou, tuple(mask_ceiling(thing.mask.full(), side) for side in MASK_SIDES_PX))
            for thing, iou in zip(truth, case.match().taken_ious(case.ious).tolist(), strict=True)
            if question.kind == "colour and shape"
        ),
    )


def mask_ceiling(mask: NDArray[np.bool_], side_px: int) -> float:
    """IoU that a perfect mask keeps when it passes through side_px x side_px cells.

    Args:
        mask: bool (H, W).
        side_px: Side of the network's masks.
    """
    cells = cv2.resize(mask.astype(np.float32), (side_px, side_px), interpolation=cv2.INTER_AREA)
    back = cv2.resize(cells, mask.shape[::-1], interpolation=cv2.INTER_LINEAR) >= 0.5
    return float((back & mask).sum() / (back | mask).sum())


@dataclass
class Timing:
    """Seconds of single calls.

    Args:
        image_s: One image embedded.
        decode_s: One phrase decoded.
    """

    image_s: list[float] = field(default_factory=list)
    decode_s: list[float] = field(default_factory=list)


def ask(segmenter: Segmenter, scene: Scene, asked: Sequence[Question], timing: Timing) -> list[QuestionScore]:
    """Put questions to one scene: one image embedding, one decoding per phrase."""
    start = time.perf_counter()
    image = segmenter.embed_image(Frame(scene.image, scene.stamp_ns))
    timing.image_s.append(time.perf_counter() - start)
    answers = []
    for question in asked:
        text = segmenter.embed_prompts([Prompt(question.phrase)])
        start = time.perf_counter()
        (result,) = segmenter.segment(image, text, [DecodeOptions()])
        timing.decode_s.append(time.perf_counter() - start)
        answers.append(score_question(scene, question, result))
    return answers


def evaluate_scenes(
    segmenter: Segmenter,
    scenes: int,
    seed: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, Any]:
    """Measure a segmenter.

    Args:
        segmenter: What is measured, at its default threshold.
        scenes: Number of scenes of 0 to 8 objects; half as many more, of objects of all sizes from 12 px, give the
            curve by size.
        seed: Which scenes.
        progress: Wraps the iteration over the scenes, to show a bar.

    Returns:
        recall, precision, mean_iou, absent_false_positive_rate, presence_accuracy, heldout_recall, image_ms,
        decode_ms (medians), and details; JSON-ready, None where there was nothing to measure.
    """
    timing, answers, sized = Timing(), [], []
    for index in progress(range(scenes + scenes // 2)):
        options = WorldOptions() if index < scenes else ANY_SIZE
        scene = render_scene(scene_seed(seed, index), options=options)
        asked = questions(scene, scene_seed(seed, index))
        given = ask(segmenter, scene, asked, timing)
        sized += given
        if index < scenes:
            answers += given
    return report(answers, sized, timing)


def report(answers: Sequence[QuestionScore], sized: Sequence[QuestionScore], timing: Timing) -> dict[str, Any]:
    """Turn answers into measures.

    Args:
        answers: Of the scenes.
        sized: Answers that also enter the curve by size.
        timing: Of all calls.
    """
    total = _total(answers)
    present = [a for a in answers if a.question.targets]
    pairs = [a for a in present if a.question.kind == "colour and shape"]
    hard = [a for a in answers if a.question.kind == "hard absent"]
    measures = {
        "recall": total.recall,
        "precision": total.precision,
        "mean_iou": total.mean_iou,
        "absent_false_positive_rate": _detected_share(a for a in answers if a.question.kind == "absent"),
        "presence_accuracy": _presence_accuracy(answers),
        "heldout_recall": _total(a for a in pairs if a.question.held_out).recall,
        "image_ms": _median_ms(timing.image_s),
        "decode_ms": _median_ms(timing.decode_s),
        "hard_absent_false_positive_rate": _detected_share(hard),
        "other_pairs_recall": _total(a for a in pairs if not a.question.held_out).recall,
        "precision_of_present_phrases": _total(present).precision,
        "by_kind": {kind: _summary([a for a in present if a.question.kind == kind]) for kind in _kinds(present)},
        "by_shape": _by(pairs, "shape"),
        "by_colour": _by(pairs, "colour"),
        "by_size_px": _by_size(sized),
        "counts": _counts(answers),
    }
    return {name: _plain(value) for name, value in measures.items()}


def _total(answers: Iterable[QuestionScore]) -> DetectionCounts:
    return pooled(a.counts for a in answers)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _detected_share(answers: Iterable[QuestionScore]) -> float:
    """Share of the phrases for which anything was detected, of any size."""
    detected = [bool(a.detected) for a in answers]
    return _share(sum(detected), len(detected))


def _presence_accuracy(answers: Iterable[QuestionScore]) -> float:
    judged = [a.presence_right for a in answers if a.presence_right is not None]
    return _share(sum(judged), len(judged))


def _median_ms(seconds: Sequence[float]) -> float:
    return float(np.median(seconds)) * 1e3 if seconds else float("nan")


def _kinds(answers: Iterable[QuestionScore]) -> list[str]:
    return sorted({a.question.kind for a in answers})


def _summary(answers: Sequence[QuestionScore]) -> dict[str, float]:
    total = _total(answers)
    return {
        "recall": total.recall,
        "precision": total.precision,
        "mean_iou": total.mean_iou,
        "presence_accuracy": _presence_accuracy(answers),
        "objects": total.true,
    }


def _by(pairs: Sequence[QuestionScore], word: str) -> dict[str, dict[str, float]]:
    names = sorted({getattr(a.question.meaning, word) for a in pairs})
    return {name: _summary([a for a in pairs if getattr(a.question.meaning, word) == name]) for name in names}


def _by_size(answers: Iterable[QuestionScore]) -> list[dict[str, float]]:
    """Recall and IoU of single objects named by colour and shape, by the square root of their visible area."""
    attempts = [attempt for a in answers for attempt in a.attempts]
    rows = (_size_row(attempts, low, high) for low, high in pairwise(SIZE_EDGES_PX))
    return [row for row in rows if row["objects"]]


def _size_row(attempts: Sequence[Attempt], low: int, high: int) -> dict[str, float]:
    inside = [attempt for attempt in attempts if low <= attempt.area_px**0.5 < high]
    found = [attempt.iou for attempt in inside if attempt.iou]
    ceilings = np.array([attempt.ceilings for attempt in inside]).reshape(-1, len(MASK_SIDES_PX))
    return {
        "from": low,
        "to": high,
        "objects": len(inside),
        "recall": _share(len(found), len(inside)),
        "mean_iou": float(np.mean(found)) if found else float("nan"),
        **{f"ceiling_{side}": float(ceilings[:, i].mean()) for i, side in enumerate(MASK_SIDES_PX) if inside},
    }


def _counts(answers: Sequence[QuestionScore]) -> dict[str, int]:
    kinds = [a.question.kind for a in answers]
    total = _total(answers)
    return {
        **{f"phrases: {kind}": kinds.count(kind) for kind in sorted(set(kinds))},
        "objects": total.true,
        "held-out pairs": len(HELD_OUT_PAIRS),
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it: NaN becomes None."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value
