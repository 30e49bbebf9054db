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

from samlite_ros.pixels.masks import mask_from_array, mask_iou
from samlite_ros.scenes.render import Scene, render_scene
from samlite_ros.scenes.vocabulary import HELD_OUT_PAIRS
from samlite_ros.scenes.world import WorldOptions
from samlite_ros.training.scene_questions import Question, questions
from samlite_ros.types import DecodeOptions, Frame, Mask, Prompt, PromptResult, Segmenter

LEAST_AREA_PX = 48 * 48
"""Smaller objects, and detections smaller than this without an object, count neither for nor against."""
IOU = 0.5
MASK_SIDES_PX = (48, 64, 96)
"""Sides of masks for which the best possible IoU is told; the demo network's have 48."""
SIZE_EDGES_PX = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 400)
"""Bins of the square root of the visible area [px]."""
_SEEDS_PER_SET = 1_000_000
ANY_SIZE = WorldOptions(width_px=(12.0, 160.0), tail=(0.0, 0.0))
"""Objects of the further scenes for the curve by size."""


@dataclass
class Count:
    """Objects and detections of some phrases.

    Args:
        found, missed: Objects.
        wrong: Detections without an object.
        ious: IoU of what was found.
    """

    found: int = 0
    missed: int = 0
    wrong: int = 0
    ious: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Share of the objects that were found; NaN without objects."""
        return _share(self.found, self.found + self.missed)

    @property
    def precision(self) -> float:
        """Share of the detections that are right; NaN without detections."""
        return _share(self.found, self.found + self.wrong)

    @property
    def mean_iou(self) -> float:
        """Mean IoU of what was found; NaN where nothing was."""
        return float(np.mean(self.ious)) if self.ious else float("nan")

    def add(self, other: Count) -> None:
        """Add another count to this one."""
        self.found += other.found
        self.missed += other.missed
        self.wrong += other.wrong
        self.ious += other.ious


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


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
class Answer:
    """How one question was answered.

    Args:
        question: The question.
        count: Objects and detections of at least 48 x 48 px.
        detected: Number of detections of any size.
        presence_right: Whether presence was judged right; None where only smaller objects are there.
        attempts: One per object of any size.
    """

    question: Question
    count: Count
    detected: int
    presence_right: bool | None
    attempts: tuple[Attempt, ...]


def scene_seed(seed: int, index: int) -> int:
    """Seed of one scene of an evaluation set; training draws its scenes from another stream altogether."""
    return seed * _SEEDS_PER_SET + index


def answer(scene: Scene, question: Question, result: PromptResult, presence_threshold: float = 0.5) -> Answer:
    """Compare a result with the truth.

    Detections are taken best score first; each takes the not yet taken named object of highest IoU, if that is at
    least 0.5. As in COCO's size ranges, objects below 48 x 48 px and what is matched to them don't count, nor do
    detections below that size without an object.
    """
    targets = list(question.targets)
    masks = [mask_from_array(scene.mask(thing.track_id)) for thing in targets]
    count, taken = Count(), [0.0] * len(targets)
    for mask in result.masks:
        best, iou = _best_free(mask, masks, taken)
        if best is not None:
            taken[best] = iou
        elif mask.area >= LEAST_AREA_PX:
            count.wrong += 1
    large = [iou for thing, iou in zip(targets, taken, strict=True) if thing.area_px >= LEAST_AREA_PX]
    count.ious = [iou for iou in large if iou]
    count.found, count.missed = len(count.ious), len(large) - len(count.ious)
    present = result.presence > presence_threshold
    judged = bool(large) or not targets
    return Answer(
        question=question,
        count=count,
        detected=len(result.masks),
        presence_right=(present == bool(targets)) if judged else None,
        attempts=tuple(
            Attempt(thing.area_px, iou, tuple(mask_ceiling(scene.mask(thing.track_id), side) for side in MASK_SIDES_PX))
            for thing, iou in zip(targets, taken, strict=True)
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


def _best_free(mask: Mask, masks: Sequence[Mask], taken: Sequence[float]) -> tuple[int | None, float]:
    """Index and IoU of the object that a detection takes; None where no free one overlaps enough."""
    ious = [0.0 if taken[index] else mask_iou(mask, other) for index, other in enumerate(masks)]
    best = int(np.argmax(ious)) if ious else None
    return (best, ious[best]) if best is not None and ious[best] >= IOU else (None, 0.0)


@dataclass
class Timing:
    """Seconds of single calls.

    Args:
        image_s: One image embedded.
        decode_s: One phrase decoded.
    """

    image_s: list[float] = field(default_factory=list)
    decode_s: list[float] = field(default_factory=list)


def ask(segmenter: Segmenter, scene: Scene, asked: Sequence[Question], timing: Timing) -> list[Answer]:
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
        answers.append(answer(scene, question, result))
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


def report(answers: Sequence[Answer], sized: Sequence[Answer], timing: Timing) -> dict[str, Any]:
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


def _total(answers: Iterable[Answer]) -> Count:
    total = Count()
    for one in answers:
        total.add(one.count)
    return total


def _detected_share(answers: Iterable[Answer]) -> float:
    """Share of the phrases for which anything was detected, of any size."""
    detected = [bool(a.detected) for a in answers]
    return _share(sum(detected), len(detected))


def _presence_accuracy(answers: Iterable[Answer]) -> float:
    judged = [a.presence_right for a in answers if a.presence_right is not None]
    return _share(sum(judged), len(judged))


def _median_ms(seconds: Sequence[float]) -> float:
    return float(np.median(seconds)) * 1e3 if seconds else float("nan")


def _kinds(answers: Iterable[Answer]) -> list[str]:
    return sorted({a.question.kind for a in answers})


def _summary(answers: Sequence[Answer]) -> dict[str, float]:
    total = _total(answers)
    return {
        "recall": total.recall,
        "precision": total.precision,
        "mean_iou": total.mean_iou,
        "presence_accuracy": _presence_accuracy(answers),
        "objects": total.found + total.missed,
    }


def _by(pairs: Sequence[Answer], word: str) -> dict[str, dict[str, float]]:
    names = sorted({getattr(a.question.meaning, word) for a in pairs})
    return {name: _summary([a for a in pairs if getattr(a.question.meaning, word) == name]) for name in names}


def _by_size(answers: Iterable[Answer]) -> list[dict[str, float]]:
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


def _counts(answers: Sequence[Answer]) -> dict[str, int]:
    kinds = [a.question.kind for a in answers]
    total = _total(answers)
    return {
        **{f"phrases: {kind}": kinds.count(kind) for kind in sorted(set(kinds))},
        "objects": total.found + total.missed,
        "held-out pairs": len(HELD_OUT_PAIRS),
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it: NaN becomes None."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value
