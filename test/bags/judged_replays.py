"""What the tests of evaluation share: a network that sees the recorded world wrongly, truth and figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bag_world import (
    find_colour,
)
from fake_segmenter import FakeSegmenter

from samlite_ros.evaluation.evaluate import Evaluated, EvaluateOptions
from samlite_ros.types import DecodeOptions, Frame, Prompt, PromptResult

NUMBERS = EvaluateOptions(worst=0)


def wrong_segmenter() -> FakeSegmenter:
    """Takes green for yellow, and yellow for green, in the last three frames."""
    swapped = {"green thing": Prompt("yellow thing"), "yellow thing": Prompt("green thing")}

    def find(frame: Frame, prompt: Prompt, options: DecodeOptions) -> PromptResult:
        sought = swapped.get(prompt.text, prompt) if len(wrong.embedded) > 7 else prompt
        return replace(find_colour(frame, sought, options), prompt=prompt)

    wrong = FakeSegmenter(find, "colours")
    return wrong


def overall(verdict: Evaluated) -> dict[str, float | None]:
    return verdict.content["overall"]


def dump(path: Path, content: dict) -> Path:
    """Write json beside what is named; returns its path."""
    path.with_suffix(".json").write_text(json.dumps(content))
    return path.with_suffix(".json")
