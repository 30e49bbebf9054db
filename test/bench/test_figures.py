"""Medians and their intervals, reports, tables, comparisons."""

from __future__ import annotations

import json

import pytest

from samlite_ros.bench.figures import Report, comparison, derived, figure, load_report, save_report, tables
from samlite_ros.bench.timing import Sample, interleave, measure, summarise
from samlite_ros.errors import SamliteError


@pytest.mark.parametrize(
    ("values", "median", "low", "high", "coverage"),
    [
        ([3.0], 3.0, 3.0, 3.0, 0.0),
        ([1.0, 3.0], 2.0, 1.0, 3.0, 0.5),
        ([5.0, 1.0, 2.0, 4.0, 3.0], 3.0, 1.0, 5.0, 0.9375),
        (list(range(1, 8)), 4.0, 1.0, 7.0, 0.984375),
        (list(range(1, 16)), 8.0, 4.0, 12.0, 0.96484375),
    ],
)
def test_interval_of_the_median(values, median, low, high, coverage):
    found = summarise(values)
    assert (found.median, found.low, found.high, found.number) == (median, low, high, len(values))
    assert found.coverage == pytest.approx(coverage)


def test_median_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        summarise([])


def test_sides_take_turns():
    order, told = [], []
    sides = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    samples = interleave(sides, 3, told.append)
    assert order == told == ["a", "b"] * 3
    assert [len(s) for s in samples.values()] == [3, 3]


def test_what_a_call_leaves_running_is_waited_for():
    order = []
    sample = measure(lambda: order.append("call"), lambda: order.append("finish"))
    assert order == ["call", "finish"]
    assert isinstance(sample, Sample)
    assert sample.wall_s > 0


@pytest.fixture
def report():
    figures = [
        figure("reuse/demo, 1 phrase/ours", "s", [0.5, 0.25, 1.0]),
        derived("reuse/demo, 1 phrase/gain", "times", 2.0),
        derived("memory/demo/peak", "MiB", 1234.5),
    ]
    return Report({"cpu": "test"}, {"threads": 1}, figures)


def test_report_comes_back_as_it_was(report, tmp_path):
    save_report(report, tmp_path / "new" / "bench.json")
    assert load_report(tmp_path / "new" / "bench.json") == report


def test_table_has_a_head_with_units_and_a_row_per_case(report):
    reuse, memory = tables(report.figures).split("\n\n")
    head, _, row = reuse.splitlines()
    assert head.split("  ")[0] == "reuse"
    assert "ours [s]" in head
    assert "gain [times]" in head
    assert row.startswith("demo, 1 phrase")
    assert "0.5 [0.25, 1]" in row
    assert memory.splitlines()[-1].endswith("1234")


def test_comparison_shows_the_change_of_what_both_have(report):
    newer = Report({}, {}, [derived("reuse/demo, 1 phrase/gain", "times", 3.0), derived("other/x/y", "s", 1.0)])
    lines = comparison(report, newer).splitlines()
    assert lines[2].split() == ["reuse/demo,", "1", "phrase/gain", "[times]", "2", "3", "1.50"]
    assert lines[3:] == [
        "machine: cpu was test, is None",
        "only in the new report: 1 figures; only in the old one: 2",
    ]


def test_comparison_knows_of_other_options_and_units(report):
    report.conditions["options"] = {"kept": 2, "models": ("demo",)}
    newer = Report(
        report.machine,
        {"options": {"kept": 5, "models": ["demo"]}},
        [derived("memory/demo/peak", "GiB", 1.2)],
    )
    lines = comparison(report, newer).splitlines()
    assert lines[2].endswith("was in MiB")
    assert "options: kept was 2, is 5" in lines
    assert not any("models" in line for line in lines)


def test_comparison_of_different_parts_says_so(report):
    assert comparison(report, Report({})).startswith("no figure is in both reports\n")


def test_what_another_release_added_is_left_out(report, tmp_path):
    path = tmp_path / "bench.json"
    save_report(report, path)
    content = json.loads(path.read_text())
    content["figures"][0]["spread"] = 1.0
    del content["figures"][0]["coverage"]
    path.write_text(json.dumps(content))
    assert [f.name for f in load_report(path).figures] == [f.name for f in report.figures]


def report_of(**fields) -> str:
    item = {"name": "a/b/c", "unit": "s", "value": 1.0, "low": 1.0, "high": 1.0, **fields}
    return json.dumps({"format": 1, "machine": {}, "conditions": {}, "figures": [item]})


@pytest.mark.parametrize(
    "content",
    [
        None,
        "no json",
        "[]",
        json.dumps({"format": 99}),
        json.dumps({"format": 1}),
        json.dumps({"format": 1, "machine": 5, "conditions": {}, "figures": []}),
        report_of(name="no parts"),
        report_of(value="fast"),
        report_of(name=7),
    ],
)
def test_what_is_no_report_is_refused(content, tmp_path):
    path = tmp_path / "old.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SamliteError, match=r"old\.json"):
        load_report(path)
