"""Still scenes, and things that enter them."""

from samlite_ros.bench.streaming.options import StreamingBenchOptions
from samlite_ros.bench.streaming.still import entering_things, still_scene
from samlite_ros.scenes.clips import entries


def test_entering_things_are_counted_even_when_they_are_never_answered(monkeypatch):
    monkeypatch.setattr("samlite_ros.bench.streaming.still.entries", lambda seed: entries(seed, 4))
    row = {f.column: f.value for f in entering_things(1, 126.0)}
    assert row["answered"] == 1 and row["p50"] <= row["p95"] <= row["max"]
    monkeypatch.setattr("samlite_ros.bench.streaming.still.ANSWERED_IOU", 1.1)
    never = {f.column: f.value for f in entering_things(1, 126.0)}
    assert never["answered"] == never["within_two"] == 0 and "p50" not in never


def test_a_still_scene_is_judged_under_every_profile(monkeypatch):
    monkeypatch.setattr("samlite_ros.bench.streaming.still.STILL_FRAMES", 60)
    figures = still_scene(StreamingBenchOptions(seed=2, profiles_ms=(126.0, 250.0)), "noisy")
    rows = {row: {f.column: f.value for f in figures if f.row == row} for row in {f.row for f in figures}}
    assert set(rows) == {"126 ms, noisy", "250 ms, noisy"}
    assert all(r["embeddings"] == round((1 - r["share_without_embedding"]) * 60) >= 1 for r in rows.values())
    assert all(0 < r["work_mean"] < 100 for r in rows.values())
