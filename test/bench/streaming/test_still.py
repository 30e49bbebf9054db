"""Still scenes, and things that enter them."""

import numpy as np
import pytest

from samlite_ros.bench.streaming.options import StreamingBenchOptions
from samlite_ros.bench.streaming.still import (
    CONTRASTS,
    ENTERING_ID,
    PLACES,
    SIZES_PX,
    Entry,
    entering_things,
    entries,
    still_scene,
)
from samlite_ros.scenes.hard_sequences import STILL, StreamSequence

SMALL = (120, 160)


def still_truth(frames=60, size=SMALL):
    return list(StreamSequence(STILL, 3, frames, size=size))


@pytest.mark.parametrize("place", PLACES)
def test_a_thing_enters_over_its_border_and_stays_in_sight(place):
    entry = Entry(24, "dark", place, 0.5, at_s=0.2)
    truth = list(entry.drawn(still_truth(45)))
    areas = [np.count_nonzero(t.ids == ENTERING_ID) for t in truth]
    assert areas[6] == 0 and areas[-1] == 24**2 and areas == sorted(areas)
    first = np.argwhere(truth[next(i for i, area in enumerate(areas) if area)].ids == ENTERING_ID)
    border = {"left": first[:, 1].min(), "top": first[:, 0].min()}
    border |= {"right": SMALL[1] - 1 - first[:, 1].max(), "bottom": SMALL[0] - 1 - first[:, 0].max()}
    assert border[place] == 0


def test_the_thing_looks_as_bright_as_it_should_and_keeps_its_texture():
    truth = still_truth(45)
    shown = {name: list(Entry(32, name, "left", 0.5, 0.1).drawn(truth))[-2:] for name in CONTRASTS}
    mean = {name: t[0].frame.image[t[0].ids == ENTERING_ID].mean() for name, t in shown.items()}
    scene = truth[0].frame.image.mean()
    assert mean["dark"] < 0.5 * scene < mean["faint"] < scene < mean["bright"]
    a, b = (t.frame.image[t.ids == ENTERING_ID].astype(float).ravel() for t in shown["faint"])
    assert np.corrcoef(a, b)[0, 1] > 0.7


def test_entries_cover_every_kind():
    kinds = {(e.size_px, e.contrast) for e in entries(0)}
    assert kinds == {(s, c) for s in SIZES_PX for c in CONTRASTS}
    assert {e.place for e in entries(0)} == set(PLACES) and entries(0) != entries(1)


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
