"""`samlite bench`: which options hold, what is printed and written."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import pytest

from samlite_ros.bench.figures import derived, load_report
from samlite_ros.bench.options import BenchOptions, quick
from samlite_ros.commands import bench
from samlite_ros.commands.cli import main
from samlite_ros.errors import SamliteError


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.add_parser(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "part", "options"),
    [
        ((), None, {}),
        (("reuse",), "reuse", {}),
        (("reuse", "--model", "demo,s0-504", "--phrases", "1,4"), "reuse", {"models": ("demo", "s0-504")}),
        (("--rounds", "3", "node", "--sizes", "64x48,128x96"), "node", {"rounds": 3, "sizes": ((64, 48), (128, 96))}),
        (("memory", "--device", "cpu", "--kept", "5", "--threads", "2"), "memory", {"device": "cpu", "kept": 5}),
        (("node", "--busy", "126,950", "--late", "3"), "node", {"busy_ms": (126.0, 950.0), "late_queries": 3}),
    ],
)
def test_given_options_replace_the_defaults(words, part, options):
    args = parse(*words)
    found = bench.bench_options(args)
    assert args.part == part
    assert {name: getattr(found, name) for name in options} == options
    assert found.seconds == BenchOptions().seconds


@pytest.mark.parametrize("words", [("--quick", "reuse"), ("reuse", "--quick")])
def test_quick_gives_way_to_what_is_given(words):
    found = bench.bench_options(parse(*words, "--rounds", "9"))
    assert found.models == quick(BenchOptions()).models == ("demo",)
    assert found.rounds == 9


@pytest.mark.parametrize("words", [("--model", "sam"), ("--sizes", "640"), ("--phrases", "many"), ("nothing",)])
def test_wrong_words_are_refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(*words)
    assert ended.value.code == 2
    assert words[-1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "count", "rounds"), [("demo", 1, 15), ("s0-504", 8, 7), ("s0-504", 16, 1), ("s0-1008", 8, 1)]
)
def test_rounds_follow_what_a_round_costs(model, count, rounds):
    assert BenchOptions().rounds_of(model, count) == rounds
    assert BenchOptions(rounds=4).rounds_of(model, count) == 4


def test_one_command_measures_writes_and_compares(tmp_path, capsys):
    words = ["bench", "reuse", "--quick", "--rounds", "1", "--phrases", "1", "--out"]
    assert main([*words, str(tmp_path / "a")]) == 0
    assert main([*words, str(tmp_path / "b"), "--compare", str(tmp_path / "a/bench.json")]) == 0
    output = capsys.readouterr().out
    assert "new / old" in output
    report = load_report(tmp_path / "b/bench.json")
    names = {f.name for f in report.figures}
    assert {"reuse/demo, 1 phrase/gain", "late query/demo/sooner"} <= names
    assert all(f.table in output and f.row in output for f in report.figures)
    assert report.machine["cpu"]
    assert report.machine["cores"] >= 1
    assert report.conditions["cores_busy_with_others"]["reuse"] >= 0
    assert {p.name for p in (tmp_path / "b").iterdir()} >= {"bench.json"}


def test_old_report_that_is_none_stops_before_measuring(tmp_path, capsys):
    assert main(["bench", "reuse", "--compare", str(tmp_path / "none.json")]) == 1
    assert "none.json is no benchmark report" in capsys.readouterr().err


def test_a_part_that_fails_leaves_the_others(tmp_path, capsys, monkeypatch):
    def fail(options, on_step):
        raise SamliteError("the node gave no answer")

    def measure(options, on_step):
        return [derived("memory/demo/peak", "MiB", 5.0)]

    parts = {"samlite_ros.bench.node": fail, "samlite_ros.bench.memory": measure}
    monkeypatch.setattr("samlite_ros.bench.run.import_module", lambda name: SimpleNamespace(run=parts[name]))
    monkeypatch.setattr(bench, "PARTS", {"node": "", "memory": ""})
    assert main(["bench", "--out", str(tmp_path)]) == 1
    assert "node was not measured: the node gave no answer" in capsys.readouterr().out
    report = load_report(tmp_path / "bench.json")
    assert [f.name for f in report.figures] == ["memory/demo/peak"]
    assert report.conditions["failed"] == {"node": "the node gave no answer"}


def test_an_interrupted_run_keeps_the_parts_that_ended(tmp_path, monkeypatch):
    def interrupt(options, on_step):
        raise KeyboardInterrupt

    parts = {
        "samlite_ros.bench.memory": lambda options, on_step: [derived("memory/demo/peak", "MiB", 5.0)],
        "samlite_ros.bench.node": interrupt,
    }
    monkeypatch.setattr("samlite_ros.bench.run.import_module", lambda name: SimpleNamespace(run=parts[name]))
    monkeypatch.setattr(bench, "PARTS", {"memory": "", "node": ""})
    assert main(["bench", "--out", str(tmp_path)]) == 130
    assert [f.name for f in load_report(tmp_path / "bench.json").figures] == ["memory/demo/peak"]


@pytest.mark.parametrize("part", [["reuse"], []])
def test_without_psutil_it_says_what_to_type(part, monkeypatch, capsys):
    monkeypatch.setattr(bench, "find_spec", lambda _: None)
    monkeypatch.setattr("samlite_ros.bench.run.module_parts", None)
    assert main(["bench", *part, "--quick"]) == 1
    assert "-m pip install psutil" in capsys.readouterr().err
