"""Limits as they are written; which frames are the worst."""

from __future__ import annotations

import pytest

from samlite_ros.errors import ParameterError
from samlite_ros.evaluation.report import changes, check_below, check_drop, parse_gate, worst_frames


def test_worst_frames_are_those_that_got_worse() -> None:
    def frames(*errors: float) -> dict:
        return {"frames": [{"camera": "", "stamp_ns": i, "error": e} for i, e in enumerate(errors)]}

    assert [f[1] for f in worst_frames(frames(0, 3, 2, 1), None, 2)] == [1, 2]
    assert [f[1] for f in worst_frames(frames(0, 3, 2, 1), frames(0, 3, 0, 0.5), 2)] == [2, 3]


def test_a_frame_that_the_baseline_did_not_answer_was_not_right_there() -> None:
    now = {"frames": [{"camera": "", "stamp_ns": i, "error": e} for i, e in enumerate((5, 1, 2))]}
    before = {"frames": [{"camera": "", "stamp_ns": i, "error": e} for i, e in ((1, 0.5), (2, 0.5))]}
    assert [f[1] for f in worst_frames(now, before, 3)] == [2, 1, 0]


@pytest.mark.parametrize("text", ["recall", "=1", "recall=high", "recall@red", ""])
def test_wrong_limit_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="expected metric=value"):
        parse_gate(text)


def _evaluated(found: float, error_m: float) -> dict:
    places = {"found": found, "error_p95_m": error_m, "things": 3}
    return {
        "overall": {"recall": 1.0},
        "phrases": {"ball": {"recall": 1.0}},
        "places": {"overall": places, "ball": places},
        "frames": [],
    }


def test_measures_in_space_are_held_to_limits_and_compared() -> None:
    now, before = _evaluated(0.9, 0.05), _evaluated(1.0, 0.02)
    gates = [parse_gate(text) for text in ("places.found=0.95", "places.error_p95_m@ball=0.04", "places.found=0.8")]
    assert check_below(now, gates) == [
        "places.found is 0.9, below 0.95",
        "places.error_p95_m@ball is 0.05, above 0.04",
    ]
    assert check_drop(now, before, [parse_gate("places.error_p95_m=0.01"), parse_gate("places.found=0.2")]) == [
        "places.error_p95_m went from 0.02 to 0.05, worse by more than 0.01"
    ]
    assert "overall: places.error_p95_m 0.02 -> 0.05 (+0.03, worse)" in changes(now, before)
    without = {key: value for key, value in before.items() if key != "places"}
    assert check_below(now, [parse_gate("recall=1")]) == [] == [x for x in changes(now, without) if "places" in x]
