"""Limits as they are written; which frames are the worst."""

from __future__ import annotations

import pytest

from samlite_ros.errors import ParameterError
from samlite_ros.evaluation.report import parse_gate, worst_frames


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
