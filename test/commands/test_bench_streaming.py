"""`samlite bench streaming`: what is chosen, what is refused, what is written."""

import argparse

import pytest

from samlite_ros.bench.figures import load_report
from samlite_ros.bench.streaming import accuracy, options, sections
from samlite_ros.commands import bench_streaming
from samlite_ros.commands.bench_streaming import SECTIONS, SETS, chosen_sections
from samlite_ros.commands.cli import main


def parse(*words):
    parser = argparse.ArgumentParser()
    bench_streaming.add_parser(parser)
    return parser.parse_args(words)


def test_names_are_those_of_the_benchmark():
    assert tuple(sections.SECTIONS) == SECTIONS and tuple(accuracy.DIFFICULTIES) == SETS
    assert tuple(accuracy.VARIANTS) == options.VARIANTS


@pytest.mark.parametrize(
    ("words", "sections"),
    [
        ((), ("accuracy", "semireal", "still", "late", "cost")),
        (("--quick",), ("accuracy",)),
        (("--quick", "--parts"), ("accuracy", "parts")),
        (("--quick", "--backend", "torch,onnx"), ("accuracy", "network")),
        (("--parts",), ("accuracy", "semireal", "still", "late", "cost", "parts")),
        (("--only", "parts,cost"), ("cost", "parts")),
        (("--all",), SECTIONS),
    ],
)
def test_what_is_measured(words, sections):
    assert chosen_sections(parse(*words)) == sections


def test_given_numbers_arrive():
    words = ("--profiles", "100,400.5", "--charge", "5", "--seed", "9", "--frames", "40")
    found = bench_streaming.bench_options(parse(*words), ("cost",))
    assert (found.profiles_ms, found.charge_s) == ((100.0, 400.5), 0.005)
    assert (found.seed, found.frames) == (9, 40)
    assert bench_streaming.bench_options(parse("--charge", "measured"), ("cost",)).charge_s is None
    assert bench_streaming.bench_options(parse(), ("cost",)).charge_s is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seed", "-1"), "-1"),
        (("--seed", "x"), "'x'"),
        (("--profiles", "126,fast"), "'fast'"),
        (("--profiles", "0"), "'0'"),
        (("--profiles", "126,,250"), "''"),
        (("--profiles", "nan"), "'nan'"),
        (("--profiles", "inf"), "'inf'"),
        (("--frames", "3"), "'3'"),
        (("--sets", "training"), "'training'"),
        (("--only", "nothing"), "'nothing'"),
        (("--backend", "torch,pytorch"), "'pytorch'"),
        (("--charge", "often"), "'often'"),
        (("--charge", "-1"), "'-1'"),
        (("--json", "."), "folder"),
    ],
)
def test_wrong_values_are_refused_with_what_is_expected(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(*words)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and words[0] in error and told in error and "expected" in error


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["bench", "streaming", "--quick", "--json", str(tmp_path / "file" / "out.json")]) == 1
    assert "out.json" in capsys.readouterr().err


def test_sequences_that_end_before_a_pass_are_refused(capsys):
    assert main(["bench", "streaming", "--profiles", "126,5000"]) == 1
    assert "5000 ms" in capsys.readouterr().err
    assert main(["bench", "streaming", "--quick", "--profiles", "2000"]) == 1
    assert "60 frames" in capsys.readouterr().err


def test_tables_figures_and_pictures_are_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(accuracy, "DIFFICULTIES", {"development": accuracy.DEVELOPMENT[:1]})
    words = ["--quick", "--frames", "30", "--sets", "development", "--profiles", "126"]
    assert main(["bench", "streaming", *words, "--json", str(tmp_path / "new" / "out.json")]) == 0
    figures = load_report(tmp_path / "new" / "out.json").figures
    row = {f.column: f.value for f in figures if f.table == "accuracy" and f.row == "126 ms, all"}
    assert 0 < row["iou_peers"] < row["iou_ours"] < 1 and row["answered"] == 1
    assert {"work_p50", "work_p95", "id_switches"} <= set(row)
    out = capsys.readouterr().out
    assert "126 ms" in out and "pictures written" in out
    assert {"accuracy.png", "error_by_cause.png"} <= {p.name for p in tmp_path.glob("new/*.png")}
