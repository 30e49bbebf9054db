"""What the demo checkpoint finds in a small made bag stays what it is."""

from __future__ import annotations

import json
from pathlib import Path

import golden
import pytest

from samlite_ros.bags.results import ResultBag
from samlite_ros.evaluation.evaluate import EvaluateOptions, evaluate_bag


def test_replay_of_the_made_bag_gives_the_golden_result(tmp_path: Path) -> None:
    result = golden.make_result(tmp_path)
    wanted = json.loads(golden.PATH.read_text(encoding="utf-8"))
    meant = f"changed: where that is meant, run {golden.__file__} and look at what it finds now"
    assert golden.checkpoint_hash() == wanted["checkpoint"], f"the demo checkpoint {meant}"
    assert golden.picture_means(tmp_path) == pytest.approx(wanted["picture_means"], abs=0.05), f"the scenes {meant}"
    verdict = evaluate_bag(result, golden.PATH, EvaluateOptions(worst=0))
    overall = verdict.content["overall"]
    assert (overall["precision"], overall["recall"]) == (1, 1)
    assert overall["mean_iou"] > 0.98  # other processors round otherwise
    with ResultBag(result) as bag:
        scores = [m.score for a, _ in bag.answers() for i in a.instances for m in i.matches]
    assert sorted(scores) == pytest.approx(sorted(a["score"] for a in wanted["annotations"]), abs=0.01)
