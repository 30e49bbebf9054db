"""Evaluate a result against truth, and hold it against limits: what a continuous integration runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samlite_ros.bags.results import FrameKey, ResultBag
from samlite_ros.errors import ParameterError
from samlite_ros.evaluation.evaluation import Evaluation, EvaluationOptions, evaluate
from samlite_ros.evaluation.evaluation_pictures import draw_measures, draw_worst_frames
from samlite_ros.evaluation.places import evaluate_places
from samlite_ros.evaluation.report import (
    Gate,
    changes,
    check_below,
    check_drop,
    read_baseline,
    to_json,
    worst_frames,
)
from samlite_ros.evaluation.truth.track_ids import WHERE_TRACK_IDS_ARE
from samlite_ros.evaluation.truth.truth import Truth, read_truth
from samlite_ros.evaluation.worst import spread
from samlite_ros.foreign.files import make_folder, write_text

REPORT_NAME, MEASURES_NAME, WORST_NAME = "evaluation.json", "measures.png", "worst_frames.jpg"


@dataclass(frozen=True)
class EvaluateOptions:
    """What to hold the result against, and what to write.

    Args:
        folder: For the report and the pictures; None = write none, unless a limit is not held.
        failure_folder: For them where a limit is not held and `folder` is None.
        report: A file for the report alone; None = none.
        baseline: An earlier report; None = none.
        fail_below: Limits.
        fail_drop: Largest losses against the baseline.
        worst: Number of worst frames to draw; they lie apart, see `worst.spread`.
        images, image_topics: Where the pictures of the worst frames come from; see `draw_worst_frames`.
        evaluation: How to compare.
    """

    folder: Path | None = None
    failure_folder: Path | None = None
    report: Path | None = None
    baseline: Path | None = None
    fail_below: tuple[Gate, ...] = ()
    fail_drop: tuple[Gate, ...] = ()
    worst: int = 9
    images: Path | None = None
    image_topics: tuple[str, ...] = ()
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)


@dataclass(frozen=True)
class Evaluated:
    """The outcome.

    Args:
        content: The report, as `report.to_json` gives it.
        failures: The limits that were not held, in words.
        folder: Where report and pictures are; None = nowhere.
        changes: What differs from the baseline, in words; empty = there is none.
    """

    content: dict[str, Any]
    failures: tuple[str, ...]
    folder: Path | None
    changes: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """What was wrong with the result bag, in words."""
        return tuple(self.content["faults"])


def evaluate_bag(result: Path, truth_path: Path, options: EvaluateOptions) -> Evaluated:
    """Evaluate a bag with answers.

    Raises:
        BagError: Result, truth or baseline cannot be read, nothing in them fits together, or a limit names a metric or
            phrase that there is not.
        ParameterError: A loss is limited, and there is no baseline.
    """
    if options.fail_drop and options.baseline is None:
        raise ParameterError(f"a loss of {options.fail_drop[0].name} can be told only against a baseline: give one")
    truth = read_truth(truth_path)
    baseline = read_baseline(options.baseline) if options.baseline else None
    with ResultBag(result) as bag:
        evaluation = evaluate(bag.answers(), truth, options.evaluation)
        places = evaluate_places(bag.reader, truth, evaluation.phrases)
        content = to_json(evaluation, bag.reader.faults, _notes(evaluation, truth))
    if places is not None:
        content["places"] = places
    failures = check_below(content, options.fail_below)
    if baseline is not None:
        failures += check_drop(content, baseline, options.fail_drop)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    folder = options.folder or (options.failure_folder if failures else None)
    if folder is not None:  # first: the other report may be meant to lie in it
        make_folder(folder)
        write_text(folder / REPORT_NAME, text)
    if options.report is not None:
        write_text(options.report, text)
    if folder is not None:
        _draw(result, truth, content, baseline, options, folder)
    return Evaluated(content, tuple(failures), folder, tuple(changes(content, baseline)) if baseline else ())


def _notes(evaluation: Evaluation, truth: Truth) -> list[str]:
    """Why a measure is not defined that people miss."""
    if evaluation.overall.scores.identity is not None:
        return []
    if truth.has_tracks:
        return ["idf1 is not defined: the answers have no track ids"]
    return [f"idf1 is not defined: truth has no track ids ({WHERE_TRACK_IDS_ARE})"]


def _draw(
    result: Path,
    truth: Truth,
    content: dict[str, Any],
    baseline: Mapping[str, Any] | None,
    options: EvaluateOptions,
    folder: Path,
) -> None:
    draw_measures(content, folder / MEASURES_NAME)
    ranked = {FrameKey(f[0], f[1]): f for f in worst_frames(content, baseline, len(content["frames"]))}
    stamps = [frame["stamp_ns"] for frame in content["frames"]]
    worst = [ranked[key] for key in spread(list(ranked), max(stamps) - min(stamps), options.worst)] if ranked else []
    if worst:
        draw_worst_frames(result, truth, worst, folder / WORST_NAME, options.images, options.image_topics)
