"""An evaluation as numbers by name: JSON, a table, and the gate of a continuous integration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samlite_ros.errors import BagError, ParameterError
from samlite_ros.evaluation.evaluation import Evaluation, PhraseScores
from samlite_ros.foreign.json_file import read_json
from samlite_ros.foreign.limits import JSON_BYTES
from samlite_ros.foreign.words import one_line
from samlite_ros.queries import normalise_phrase

PLACES = "places."
"""Before the names of measures in space, as `evaluate_places` calls them."""
LOWER_IS_BETTER = frozenset(
    {"absent_rate", "absent_answered", "age_p50_ms", "age_p95_ms", "age_max_ms"}
    | {f"{PLACES}error_p{share}_{unit}" for share in (50, 95) for unit in ("m", "percent")}
)
TABLE_COLUMNS = (
    "precision", "recall", "recall_all", "mean_iou", "ap",
    "cgf1", "pmf1", "il_mcc", "streaming_iou", "j", "f", "idf1", "absent_rate",
)  # fmt: skip
COUNTS = frozenset({"absent_frames", "cases", "instances_found", "instances_true", f"{PLACES}things"})
"""Numbers behind the measures, neither better nor worse."""
OVERALL = "overall"


def metrics_of(part: PhraseScores) -> dict[str, float | None]:
    """The measures of one phrase or of all.

    Returns:
        precision, recall, mean_iou: at overlap 0.5, after COCO's matching; mean_iou of the matched pairs. recall_all:
        over all frames with truth, answered or not.
        ap, ap50: COCO. cgf1, pmf1, il_mcc: SA-Co, 0 to 1. streaming_iou: see `evaluation`. j, f, jf: DAVIS.
        idf1: identity. absent_rate: share of the frames without the phrase that were answered with something.
        absent_answered, absent_frames: the numbers behind it. age_p50_ms, age_p95_ms, age_max_ms: age of the knowledge.
        instances_found, instances_true: counts. cases: pairs of answered frame and phrase behind all
        of these. None = not defined.
    """
    s = part.scores
    values = {
        "precision": s.detection.precision,
        "recall": s.detection.recall,
        "recall_all": part.recall_all,
        "mean_iou": s.detection.mean_iou,
        "ap": s.ap,
        "ap50": s.ap50,
        "cgf1": s.saco.cgf1,
        "pmf1": s.saco.pmf1,
        "il_mcc": s.saco.il_mcc,
        "streaming_iou": part.streaming_iou,
        "j": s.j,
        "f": s.f,
        "jf": (s.j + s.f) / 2,
        "idf1": s.identity.idf1 if s.identity else math.nan,
        "absent_rate": s.saco.false_positive_rate,
        "absent_answered": s.saco.absent_answered,
        "absent_frames": s.saco.absent_frames,
        "age_p50_ms": s.ages.p50_ms,
        "age_p95_ms": s.ages.p95_ms,
        "age_max_ms": s.ages.max_ms,
        "cases": s.cases,
        "instances_found": s.detection.found,
        "instances_true": s.detection.true,
    }
    return {name: None if math.isnan(value) else round(value, 6) for name, value in values.items()}


def to_json(evaluation: Evaluation, faults: Sequence[str] = (), notes: Sequence[str] = ()) -> dict[str, Any]:
    """An evaluation as it is written to a file, and read as a baseline; `notes` say what could not be told, and why."""
    ages = evaluation.overall.scores.ages
    return {
        OVERALL: {**metrics_of(evaluation.overall), "answered": round(evaluation.answered, 6)},
        "phrases": {phrase: metrics_of(part) for phrase, part in evaluation.phrases.items()},
        "model_id": evaluation.model_id,
        "truth_frames": evaluation.truth_frames,
        "answered_frames": len(evaluation.frames),
        "start_up_frames": evaluation.start_up_frames,
        "phrases_unasked": list(evaluation.phrases_unasked),
        "phrases_unknown": list(evaluation.phrases_unknown),
        "age_histogram": {"edges_ms": list(ages.edges_ms), "counts": list(ages.counts)},
        "frames": [{"camera": f.camera, "stamp_ns": f.stamp_ns, "error": f.error} for f in evaluation.frames],
        "faults": list(faults),
        "notes": list(notes),
    }


def read_baseline(path: Path) -> dict[str, Any]:
    """Read what `to_json` wrote, also an earlier version's: of other measures.

    Raises:
        BagError: It is not that.
    """
    try:
        content = read_json(path, JSON_BYTES)
        for values in (content[OVERALL], *content["phrases"].values(), *content.get("places", {}).values()):
            _check_numbers(values.values())
        for frame in content["frames"]:
            _check_numbers([frame["error"], frame["stamp_ns"]])
            str(frame["camera"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        words = one_line(error if isinstance(error, OSError) else repr(error))
        raise BagError(f"baseline {path}: not an evaluation written by samlite evaluate: {words}") from error
    return dict(content)


def _check_numbers(values: Iterable[object]) -> None:
    for value in values:
        if value is not None and (not isinstance(value, int | float) or not math.isfinite(value)):
            raise ValueError(f"{value!r} is not a number")


def table(content: Mapping[str, Any]) -> str:
    """The measures in columns, a line per phrase and one for all; '-' = not defined."""
    rows = [(phrase, values) for phrase, values in content["phrases"].items()] + [(OVERALL, content[OVERALL])]
    width = max(len(name) for name, _ in rows)
    lines = [" " * width + "".join(f"{name:>14}" for name in TABLE_COLUMNS)]
    for name, values in rows:
        lines.append(f"{name:<{width}}" + "".join(f"{_cell(values[column]):>14}" for column in TABLE_COLUMNS))
    overall = content[OVERALL]
    lines.append(
        f"answered {content['answered_frames']} of {content['truth_frames']} frames with truth; age of the masks "
        f"p50 {_cell(overall['age_p50_ms'], 1)}, p95 {_cell(overall['age_p95_ms'], 1)}, "
        f"at most {_cell(overall['age_max_ms'], 1)} ms"
    )
    if unanswered := content["truth_frames"] - content["answered_frames"]:
        lines.append(
            f"{unanswered} frames with truth have no answer: "
            "they count in recall_all and streaming_iou, in no other column"
        )
    lines += [f"note: {note}" for note in content["notes"]]
    for key, words in (("phrases_unasked", "in truth, never asked"), ("phrases_unknown", "asked, not in truth")):
        if content[key]:
            lines.append(f"not judged ({words}): {', '.join(content[key])}")
    return "\n".join(lines)


def _cell(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


@dataclass(frozen=True)
class Gate:
    """One condition on a metric.

    Args:
        metric: Its name.
        value: The limit.
        phrase: 'overall' or a phrase.
    """

    metric: str
    value: float
    phrase: str = OVERALL

    @property
    def name(self) -> str:
        """How it was written."""
        return self.metric if self.phrase == OVERALL else f"{self.metric}@{self.phrase}"


def parse_gate(text: str) -> Gate:
    """Read 'metric=value' or 'metric@phrase=value'.

    Raises:
        ParameterError: It is not of this form.
    """
    name, _, value = text.rpartition("=")
    metric, _, phrase = name.partition("@")
    try:
        limit = float(value)
    except ValueError:
        limit = math.nan
    if not metric or math.isnan(limit):
        raise ParameterError(f"limit {text!r}: expected metric=value or metric@phrase=value")
    return Gate(metric.strip(), limit, normalise_phrase(phrase) or OVERALL)


def check_below(content: Mapping[str, Any], gates: Sequence[Gate]) -> list[str]:
    """What is worse than its limit, in words; for metrics where less is better that means above it."""
    failures = []
    for gate in gates:
        now = _look_up(content, gate)
        if now is None:
            failures.append(f"{gate.name} is not defined for this truth, so it cannot be held at {gate.value:g}")
        elif _worse_by(gate.metric, now, gate.value) > 0:
            word = "above" if gate.metric in LOWER_IS_BETTER else "below"
            failures.append(f"{gate.name} is {now:g}, {word} {gate.value:g}")
    return failures


def check_drop(content: Mapping[str, Any], baseline: Mapping[str, Any], gates: Sequence[Gate]) -> list[str]:
    """What got worse than the baseline by more than its limit, in words."""
    failures = []
    for gate in gates:
        now, before = _look_up(content, gate), _look_up(baseline, gate, "baseline")
        if before is None:
            continue
        if now is None:
            failures.append(f"{gate.name} was {before:g} and is not defined any more")
        elif _worse_by(gate.metric, now, before) > gate.value + 1e-9:
            failures.append(f"{gate.name} went from {before:g} to {now:g}, worse by more than {gate.value:g}")
    return failures


def changes(content: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """What differs from the baseline in words: the measures that both have, and the frames that only one answers."""
    lines = []
    for name in (OVERALL, *content["phrases"]):
        now, before = _values(content, name) or {}, _values(baseline, name)
        if before is None:
            lines.append(f"{name}: not in the baseline")
            continue
        for metric in (m for m in now if m in before):
            lines += _change(name, metric, before[metric], now[metric])
    answered, answered_before = ({(f["camera"], f["stamp_ns"]) for f in c["frames"]} for c in (content, baseline))
    for frames, words in (
        (answered_before - answered, "were answered in the baseline, and are not any more"),
        (answered - answered_before, "are answered, and were not in the baseline"),
    ):
        if frames:
            lines.append(f"{len(frames)} frames {words}")
    return lines or ["nothing differs from the baseline"]


def _change(name: str, metric: str, before: float | None, now: float | None) -> list[str]:
    if before == now:
        return []
    if before is None or now is None:
        return [f"{name}: {metric} {_cell(before)} -> {_cell(now)}"]
    worse = _worse_by(metric, now, before)
    word = "" if metric in COUNTS else f", {'worse' if worse > 0 else 'better'}"
    return [f"{name}: {metric} {before:.4g} -> {now:.4g} ({now - before:+.4g}{word})"]


def _worse_by(metric: str, now: float, reference: float) -> float:
    return now - reference if metric in LOWER_IS_BETTER else reference - now


def _look_up(content: Mapping[str, Any], gate: Gate, whose: str = "evaluation") -> float | None:
    values = _values(content, gate.phrase)
    if values is None:
        there = ", ".join(content["phrases"])
        raise BagError(f"limit {gate.name}: the {whose} knows no phrase {gate.phrase!r}, but {there}")
    if gate.metric.startswith(PLACES) and "places" not in content:
        raise BagError(f"limit {gate.name}: truth or result of the {whose} tells no places (see docs/space.md)")
    if gate.metric not in values:
        raise BagError(f"limit {gate.name}: the {whose} knows no metric {gate.metric!r}, but {', '.join(values)}")
    value: float | None = values[gate.metric]
    return value


def _values(content: Mapping[str, Any], name: str) -> dict[str, float | None] | None:
    """Measures of a phrase or of all, those in space by their own names; None = the phrase is not known."""
    values = content[OVERALL] if name == OVERALL else content["phrases"].get(name)
    if values is None:
        return None
    return {**values, **{PLACES + key: value for key, value in content.get("places", {}).get(name, {}).items()}}


def worst_frames(
    content: Mapping[str, Any], baseline: Mapping[str, Any] | None, count: int
) -> list[tuple[str, int, float]]:
    """Camera, stamp [ns] and error of the worst frames; with a baseline those that got worse the most.

    What the baseline did not answer has not got worse: it comes behind.
    """
    before = {(f["camera"], f["stamp_ns"]): f["error"] for f in (baseline or {}).get("frames", ())}
    errors = [(f["camera"], f["stamp_ns"], f["error"]) for f in content["frames"]]
    ranked = sorted(errors, key=lambda e: (before.get(e[:2], e[2] if baseline else 0.0) - e[2], e[1]))
    return [e for e in ranked if e[2] > 0][:count]
