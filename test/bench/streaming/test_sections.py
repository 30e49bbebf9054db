"""A short run of everything: every section gives figures, and the documentation names them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from samlite_ros.bench.figures import Report, tables
from samlite_ros.bench.plots import draw_report
from samlite_ros.bench.streaming.options import StreamingBenchOptions
from samlite_ros.bench.streaming.sections import SECTIONS
from samlite_ros.bench.streaming.still import SENSORS
from samlite_ros.scenes.clips import entries
from samlite_ros.scenes.cutouts import SEQUENCES
from samlite_ros.scenes.hard_sequences import STILL

CUTOUTS = tuple(c for c in SEQUENCES if c.name in ("plain", "gloss"))
DEVELOPMENT_ONE = (replace(STILL, name="drift", base="pan", count=3),)


def documented_words():
    """What docs/bench_streaming.md names as columns."""
    text = (Path(__file__).resolve().parents[3] / "docs/bench_streaming.md").read_text(encoding="utf-8")
    return set(re.findall(r"`([^`]+)`", text.partition("## The figures")[2]))


@pytest.fixture(scope="module")
def figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samlite_ros.bench.streaming.still.STILL_FRAMES", 40)
        patch.setattr("samlite_ros.bench.streaming.still.entries", lambda seed: entries(seed, 2))
        patch.setattr("samlite_ros.bench.streaming.still.SENSORS", {"quiet": SENSORS["quiet"]})
        patch.setattr("samlite_ros.bench.streaming.cost.FRAMES", 20)
        patch.setattr("samlite_ros.bench.streaming.cost.COUNTS", (8,))
        patch.setattr("samlite_ros.bench.streaming.cost.SIZES", ((120, 160),))
        patch.setattr("samlite_ros.bench.streaming.parts.PARTS", ("nothing", "rest"))
        patch.setattr("samlite_ros.bench.streaming.semireal.SEQUENCES", CUTOUTS)
        patch.setattr("samlite_ros.bench.streaming.accuracy.DIFFICULTIES", {"development": DEVELOPMENT_ONE})
        patch.setattr("samlite_ros.bench.streaming.tokens.SCENES", 1)
        patch.setattr("samlite_ros.bench.streaming.space.KINDS", ("fly",))
        patch.setattr("samlite_ros.bench.streaming.space.ROUNDS", 4)
        patch.setattr("samlite_ros.bench.streaming.space_images.SEQUENCES", 2)
        options = StreamingBenchOptions(profiles_ms=(126.0,), sets=("development",), frames=30)
        return [
            f
            for name, s in SECTIONS.items()
            if name not in ("late", "network")
            for f in s.run(options, lambda items, text: items)
        ]


def test_every_section_gives_figures(figures):
    row = {f.column: f.value for f in figures if (f.table, f.row) == ("accuracy", "126 ms, all")}
    wanted = {"iou_ours", "iou_peers", "iou_ours_visible", "iou_peers_visible", "answered", "age_frames_max"}
    assert wanted | {"work_p50", "work_p95", "id_switches"} <= set(row)
    passes = {f.row: f.value for f in figures if (f.table, f.column) == ("accuracy", "pass")}
    assert passes["126 ms, 8 phrases"] == pytest.approx(126 * (0.64 + 8 * 0.36))
    tables_of = {"accuracy", "sequences", "identity", "error_by_cause", "still", "entering", "cost", "parts"}
    tables_of |= {"semireal", "semireal_details"}
    assert tables_of <= {f.table for f in figures}


def test_every_column_is_documented(figures):
    assert {f.column for f in figures} <= documented_words()
    assert {f.table for f in figures} <= documented_words()


def test_positions_at_every_frame_are_nearer_than_the_usual_way_s(figures):
    row = {f.column: f.value for f in figures if (f.table, f.row) == ("positions", "fly, 126 ms")}
    assert 0 < row["ours_smoothed_p50"] < 3 and row["usual_raw_p50"] > 2 * row["ours_smoothed_p50"]
    exact = {f.column: f.value for f in figures if (f.table, f.row) == ("positions_in_images", "exact mask")}
    assert exact["centre_p95"] < 4 and exact["width_p50"] == pytest.approx(100, abs=5)


def test_tables_and_pictures(figures, tmp_path):
    text = tables(figures)
    for words in ("126 ms, all", "126 ms, gray images", "126 ms, without rest", "126 ms, quiet", "8 at 160x120"):
        assert words in text
    assert "held-out" not in text
    drawn = {p.stem for p in draw_report(Report({}, {}, figures), tmp_path)}
    assert drawn >= {"accuracy", "error_by_cause", "parts", "cost"}
