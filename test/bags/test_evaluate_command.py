"""`samlite evaluate` as a command: limits, baselines, what is written, what is refused and how it is told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from judged_replays import NUMBERS

from samlite_ros.commands.cli import main
from samlite_ros.errors import BagError, ParameterError
from samlite_ros.evaluation import evaluate
from samlite_ros.evaluation.evaluate import EvaluateOptions, evaluate_bag
from samlite_ros.evaluation.report import parse_gate
from samlite_ros.evaluation.truth.truth import Truth


def command(results: dict[str, Path], name: str, truth: Path, *more: str) -> int:
    return main(["evaluate", str(results[name]), "--truth", str(truth), "--no-contours", *more])


@pytest.mark.parametrize(
    ("name", "gate", "status"),
    [
        ("exact", "recall=0.99", 0),
        ("wrong", "recall=0.99", 1),
        ("wrong", "recall@red thing=0.99", 0),
        ("wrong", "recall@green thing=0.5", 1),
        ("wrong", "absent_rate=0.1", 1),  # less is better: fails above
        ("exact", "absent_rate=0.0", 0),
        ("exact", "idf1=0.1", 1),  # not defined: cannot be held
        ("exact", "no_such_metric=1", 1),
        ("exact", "recall@car=1", 1),
        ("exact", "recall", 1),
    ],
)
def test_limit_gives_the_exit_status(
    results: dict[str, Path],
    truth: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    gate: str,
    status: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(results, name, truth, "--fail-below", gate) == status
    assert bool(capsys.readouterr().err) == bool(status)


def test_loss_against_a_baseline_fails_with_pictures(
    results: dict[str, Path],
    truth: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    baseline, out = tmp_path / "old.json", tmp_path / "out"
    assert command(results, "exact", truth, "--json", str(baseline)) == 0
    monkeypatch.chdir(tmp_path)
    assert command(results, "wrong", truth, "--fail-below", "recall=0.9") == 1
    assert (tmp_path / "evaluation_out" / "worst_frames.jpg").exists()
    drop = ["--baseline", str(baseline), "--fail-drop", "recall=0.05", "-o", str(out)]
    assert command(results, "exact", truth, *drop) == 0
    assert not (out / "worst_frames.jpg").exists()  # no frame is wrong
    assert command(results, "wrong", truth, *drop) == 1
    assert "failed: recall went from 1 to 0.8, worse by more than 0.05" in capsys.readouterr().err
    assert command(results, "wrong", truth, "--baseline", str(baseline), "--fail-drop", "recall=0.3") == 0
    sheet = cv2.imread(str(out / "worst_frames.jpg"))
    assert sheet.shape[1] == 3 * 480  # three frames are wrong
    assert cv2.imread(str(out / "measures.png")) is not None


def test_wrong_baseline_is_refused(results: dict[str, Path], truth: Path, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(BagError, match="not an evaluation written by samlite evaluate"):
        evaluate_bag(results["exact"], truth, EvaluateOptions(baseline=tmp_path / "old.json"))


@pytest.mark.parametrize(
    ("change", "limit", "words"),
    [
        (lambda c: c["overall"].pop("recall"), "recall=0.1", "the baseline knows no metric 'recall', but precision"),
        (lambda c: c["phrases"].pop("red thing"), "recall@red thing=0.1", "the baseline knows no phrase 'red thing'"),
        (lambda c: c.update(phrases=[1]), "recall=0.1", "not an evaluation written by"),
        (lambda c: c.update(overall=5), "recall=0.1", "not an evaluation written by"),
        (lambda c: c["overall"].update(recall="high"), "recall=0.1", "'high' is not a number"),
        (lambda c: c["overall"].update(recall=math.nan), "recall=0.1", "NaN is no number in JSON"),
        (lambda c: c.update(frames=[{"camera": "", "stamp_ns": 1}]), "recall=0.1", "not an evaluation written by"),
        (lambda c: c.update(frames=5), "recall=0.1", "not an evaluation written by"),
    ],
)
def test_baseline_of_another_version_is_refused_in_words(
    results: dict[str, Path], truth: Path, tmp_path: Path, change: Callable[[dict], object], limit: str, words: str
) -> None:
    content = evaluate_bag(results["exact"], truth, NUMBERS).content
    change(content)
    (tmp_path / "old.json").write_text(json.dumps(content))
    options = EvaluateOptions(baseline=tmp_path / "old.json", fail_drop=(parse_gate(limit),), worst=0)
    with pytest.raises(BagError, match=words):
        evaluate_bag(results["exact"], truth, options)


def test_baseline_with_fewer_measures_is_compared_in_those_it_has(
    results: dict[str, Path], truth: Path, tmp_path: Path
) -> None:
    content = evaluate_bag(results["exact"], truth, NUMBERS).content
    del content["overall"]["idf1"], content["phrases"]["green thing"], content["age_histogram"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    options = EvaluateOptions(baseline=tmp_path / "old.json", fail_drop=(parse_gate("recall=0.1"),), worst=0)
    assert not evaluate_bag(results["exact"], truth, options).failures
    assert evaluate_bag(results["wrong"], truth, options).failures


def test_a_limit_on_a_loss_needs_a_baseline(results: dict[str, Path], truth: Path) -> None:
    with pytest.raises(ParameterError, match="a loss of recall can be told only against a baseline"):
        evaluate_bag(results["exact"], truth, EvaluateOptions(fail_drop=(parse_gate("recall=0.1"),)))


def test_a_limit_names_its_phrase_in_any_spelling(results: dict[str, Path], truth: Path) -> None:
    options = EvaluateOptions(fail_below=(parse_gate("recall@ Red  Thing=0.9"),), worst=0)
    assert not evaluate_bag(results["exact"], truth, options).failures


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "RESULT", "--truth", "TRUTH", "--json", "/nowhere/report.json"],
        ["evaluate", "RESULT", "--truth", "TRUTH", "-o", "TRUTH"],
        ["evaluate", "RESULT", "--truth", "TRUTH", "-o", "OUT", "--image-topic", "/nothing", "--images", "RESULT"],
        ["compare", "RESULT", "WRONG", "-o", "TRUTH"],
        ["compare", "RESULT", "WRONG", "-o", "OUT", "--image-topic", "/nothing"],
    ],
)
def test_outputs_that_cannot_be_written_are_told_in_a_line(
    results: dict[str, Path], truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    names = {
        "RESULT": str(results["exact" if words[0] == "compare" else "wrong"]),
        "WRONG": str(results["wrong"]),
        "TRUTH": str(truth),
        "OUT": str(tmp_path / "out"),
    }
    assert main([names.get(word, word) for word in words]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"samlite {words[0]}: ")
    assert "\n" not in error


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "r", "--truth", "t", "--worst", "-1"],
        ["evaluate", "r", "--truth", "t", "--grace-ms", "nan"],
        ["compare", "a", "b", "--worst", "few"],
        ["make-bag", "out", "--size", "640"],
        ["make-bag", "out", "--size", "0x0"],
        ["make-bag", "out", "--frames", "0"],
        ["make-bag", "out", "--rate", "0"],
        ["make-bag", "out", "--rate", "nan"],
        ["make-bag", "out", "--jpeg", "101"],
        ["make-bag", "out", "--seed", "-1"],
        ["make-bag", "out", "--image-topic", "camera image"],
        ["play", "b", "--rate", "0"],
        ["play", "b", "--rate", "inf"],
        ["play", "b", "--clock", "-1"],
        ["play", "b", "--delay", "-1"],
        ["play", "b", "--wait", "long"],
    ],
)
def test_numbers_out_of_range_are_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "expected" in capsys.readouterr().err


def test_missing_libraries_are_named_with_the_line_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("samlite_ros.bags.dependencies.LIBRARIES", ("rosbags", "no_such_library"))
    for words in (
        ["replay", "b", "-o", "o"],
        ["evaluate", "r", "--truth", "t"],
        ["compare", "a", "b"],
        ["make-bag", "o"],
        ["play", "b"],
    ):
        assert main(words) == 1
        assert "no_such_library not installed. Type: " in capsys.readouterr().err


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate"]) == 2
    assert "RESULT --truth TRUTH" in capsys.readouterr().err


def test_evaluation_is_written_as_strict_json(results: dict[str, Path], truth: Path, tmp_path: Path) -> None:
    command(results, "exact", truth, "--json", str(tmp_path / "now.json"))
    text = (tmp_path / "now.json").read_text()
    assert "NaN" not in text
    assert not any(isinstance(v, float) and math.isnan(v) for v in json.loads(text)["overall"].values())


def test_what_differs_from_the_baseline_is_printed(
    results: dict[str, Path], truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = tmp_path / "old.json"
    assert command(results, "exact", truth, "--json", str(baseline)) == 0
    assert command(results, "wrong", truth, "--baseline", str(baseline)) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("against the baseline: ")]
    assert any("overall: recall 1 -> 0.8" in line and line.endswith(", worse)") for line in lines)
    assert any("overall: absent_answered 0 -> 3 (+3, worse)" in line for line in lines)
    assert not any("red thing" in line for line in lines)
    assert command(results, "late", truth, "--baseline", str(baseline)) == 0
    assert re.search(r"\d frames were answered in the baseline, and are not any more", capsys.readouterr().out)
    assert command(results, "exact", truth, "--baseline", str(baseline)) == 0
    assert "against the baseline: nothing differs from the baseline" in capsys.readouterr().out


def test_frames_without_an_answer_are_missed_in_recall_all(
    results: dict[str, Path], truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(results, "late", truth) == 0
    said = capsys.readouterr().out
    content = evaluate_bag(results["late"], truth, EvaluateOptions(worst=0)).content
    red = content["phrases"]["red thing"]
    answered, frames = content["answered_frames"], content["truth_frames"]
    assert (answered, frames) == (4, 10)
    assert red["recall"] == 1
    assert red["recall_all"] == pytest.approx(answered / frames, abs=1e-6)
    assert f"{frames - answered} frames with truth have no answer: they count in recall_all" in said
    exact = evaluate_bag(results["exact"], truth, EvaluateOptions(worst=0)).content["overall"]
    assert exact["recall_all"] == exact["recall"] == 1


def test_the_worst_frames_that_are_drawn_lie_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(evaluate, "draw_measures", lambda *_: None)
    monkeypatch.setattr(evaluate, "draw_worst_frames", lambda _r, _t, worst, *_: drawn.extend(w[1] for w in worst))
    errors = {50: 9.0, 51: 8.9, 52: 8.8, 10: 3.0, 90: 2.0}
    frames = [{"camera": "", "stamp_ns": i, "error": errors.get(i, 0.0)} for i in range(101)]
    options = EvaluateOptions(worst=3)
    evaluate._draw(tmp_path, Truth(frozenset(), {}), {"frames": frames}, None, options, tmp_path)
    assert drawn == [50, 10, 90]
