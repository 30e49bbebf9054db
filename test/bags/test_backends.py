"""Replay and evaluation by every backend that can run here: each repeats itself, and all say the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import golden
import pytest

from samlite_ros.bags.results import ResultBag
from samlite_ros.commands.cli import main
from samlite_ros.demo.make_bag import make_bag

PHRASES = ",".join(golden.PHRASES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden bag."""
    folder = tmp_path_factory.mktemp("made") / "in"
    make_bag(folder, golden.BAG)
    return folder


@pytest.fixture(scope="module")
def models(demo_export: Path) -> dict[str, str]:
    """What each backend computes."""
    return {"torch": "demo", "onnx": str(demo_export)}


def replay_arguments(made: Path, model: str, backend: str, out: Path) -> list[str]:
    return ["replay", str(made), "--query", PHRASES, "--model", model, "--backend", backend, "-o", str(out)]


def answers(result: Path) -> list:
    with ResultBag(result) as bag:
        return [
            [(m.score, i.box_xyxy, i.mask.area) for i in answer.instances for m in i.matches]
            for answer, _ in bag.answers()
        ]


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_two_replays_are_identical_and_the_golden_result(made, models, tmp_path, backend, capsys):
    for name in ("one", "two"):
        assert main(replay_arguments(made, models[backend], backend, tmp_path / name)) == 0
    first = answers(tmp_path / "one")
    assert first == answers(tmp_path / "two") and any(first)
    report = tmp_path / "report.json"
    judged = ["evaluate", str(tmp_path / "one"), "--truth", str(golden.PATH), "--worst", "0", "--json", str(report)]
    assert main(judged) == 0
    overall = json.loads(report.read_text())["overall"]
    assert (overall["precision"], overall["recall"]) == (1, 1) and overall["mean_iou"] > 0.98


def test_backends_differ_by_their_parity(made, models, tmp_path, capsys):
    for backend, model in models.items():
        assert main(replay_arguments(made, model, backend, tmp_path / backend)) == 0
    one, other = answers(tmp_path / "torch"), answers(tmp_path / "onnx")
    assert [len(a) for a in one] == [len(a) for a in other]
    for a, b in zip(chain.from_iterable(one), chain.from_iterable(other), strict=True):
        assert a[0] == pytest.approx(b[0], abs=1e-4) and a[1] == pytest.approx(b[1], abs=0.05)
        assert a[2] == pytest.approx(b[2], rel=2e-3)


def test_without_torch_too(made, models, tmp_path):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers', 'onnx')));"
        "from samlite_ros.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)

    done = run(*replay_arguments(made, models["onnx"], "auto", tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    done = run("evaluate", str(tmp_path / "out"), "--truth", str(golden.PATH), "--worst", "0")
    assert done.returncode == 0, done.stderr
    done = run("evaluate", "--scenes", "2", "--model", models["onnx"])
    assert done.returncode == 0 and "recall" in done.stdout, done.stderr


def test_a_replay_with_reused_tokens_repeats_itself(made, tmp_path):
    (tmp_path / "reuse.yaml").write_text("/**:\n  ros__parameters: {reuse_tokens: true, propagate: true}\n")
    for name in ("one", "two"):
        more = ["--params", str(tmp_path / "reuse.yaml"), "--latency", "126"]
        assert main([*replay_arguments(made, "demo", "torch", tmp_path / name), *more]) == 0
    assert (first := answers(tmp_path / "one")) == answers(tmp_path / "two") and any(first)
