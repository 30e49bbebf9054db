"""`samlite bench streaming`: what is chosen, what is refused, what is written."""

import argparse
import json

import pytest

from samlite_ros.bench.streaming import sections as streaming
from samlite_ros.bench.streaming_progress import ProgressBar, Step, perform
from samlite_ros.commands import bench_streaming
from samlite_ros.commands.bench_streaming import SECTIONS, SETS, chosen_sections
from samlite_ros.commands.cli import main


def parse(*words):
    parser = argparse.ArgumentParser()
    bench_streaming.add_parser(parser)
    return parser.parse_args(words)


def test_names_are_those_of_the_benchmark():
    assert tuple(streaming.SECTIONS) == SECTIONS and tuple(streaming.SETS) == SETS


@pytest.mark.parametrize(
    ("words", "sections"),
    [
        ((), ("accuracy", "still", "late", "cost")),
        (("--quick",), ("accuracy",)),
        (("--quick", "--node", "3"), ("accuracy", "node")),
        (("--parts", "--network"), ("accuracy", "still", "late", "cost", "parts", "network")),
        (("--only", "node,cost"), ("cost", "node")),
        (("--only", "late", "--live"), ("late", "live")),
        (("--all",), SECTIONS),
    ],
)
def test_what_is_measured(words, sections):
    assert chosen_sections(parse(*words)) == sections


def test_given_numbers_arrive():
    words = (
        "--profiles",
        "100,400.5",
        "--node",
        "7",
        "--held",
        "1",
        "--network",
        "some/folder",
        "--seed",
        "9",
        "--frames",
        "40",
    )
    found = bench_streaming.bench_options(parse(*words), ("node",))
    assert (found.profiles_ms, found.node_seconds, found.held_share) == ((100.0, 400.5), 7.0, 1.0)
    assert (found.network, found.seed, found.frames) == ("some/folder", 9, 40)


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
        (("--node", "0"), "'0'"),
        (("--held", "2"), "'2'"),
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


def test_without_ros_the_node_is_refused_at_once(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["bench", "streaming", "--only", "node"]) == 1
    assert "rclpy" in capsys.readouterr().err


def test_tables_figures_and_pictures_are_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(streaming, "SETS", {"development": streaming.DEVELOPMENT[:1]})
    words = ["--quick", "--frames", "30", "--sets", "development", "--profiles", "126"]
    assert main(["bench", "streaming", *words, "--json", str(tmp_path / "new" / "out.json")]) == 0
    written = json.loads((tmp_path / "new" / "out.json").read_text())
    row = written["profiles"]["126"]
    assert 0 < row["iou_peers"] < row["iou_ours"] < 1 and row["answered"] == 1
    assert {"p50", "p95"} <= set(row["work_ms"]) and "id_switches" in row
    out = capsys.readouterr().out
    assert "126 ms" in out and "pictures written" in out
    assert {"streaming_iou.png", "streaming_timeline.png"} <= {p.name for p in tmp_path.glob("new/*.png")}


def test_where_there_is_no_terminal_lines_say_how_long_it_takes(capsys, monkeypatch):
    monkeypatch.setattr("samlite_ros.bench.streaming_progress.QUIET_S", 0.0)
    bar = ProgressBar()
    perform([Step(name, 1.0, lambda: None) for name in "ab"], bar)
    bar.close()
    error = capsys.readouterr().err
    assert "] a\n" in error and "left] b\n" in error
