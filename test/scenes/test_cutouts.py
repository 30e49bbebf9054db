"""Pieces of photographs that move: the same every time, with exact truth, each treatment for itself."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from samlite_ros.scenes.cutouts import PHOTOGRAPHS, SEQUENCES, Cutouts, CutoutSequence

FRAMES = 25
PLAIN = SEQUENCES[0]


@cache
def frames(cutouts):
    return CutoutSequence(cutouts, seed=2, frames=FRAMES).read()


def mean_difference(a, b):
    return np.mean([np.abs(x.frame.image.astype(int) - y.frame.image).mean() for x, y in zip(a, b, strict=True)])


def test_the_same_seed_gives_the_same_frames():
    again = CutoutSequence(PLAIN, seed=2, frames=FRAMES)
    assert mean_difference(again.read(8), again.read(8)) == 0
    assert mean_difference(again.read(8), CutoutSequence(PLAIN, seed=3).read(8)) > 5
    stamps = [t.frame.stamp_ns for t in frames(PLAIN)]
    assert stamps[24] - stamps[0] == 1_000_000_000


def test_truth_lies_on_the_things():
    """The ground alone, subtracted from the image, leaves the things: their truth covers what is left."""
    noise = 12  # 4 of the sensor's standard deviations in the sum of a blurred frame
    ground = np.median([t.frame.image for t in frames(PLAIN)], 0)
    for truth in frames(PLAIN)[::10]:
        differs = np.abs(truth.frame.image - ground).max(2) > noise
        assert differs[truth.ids > 0].mean() > 0.6
        assert set(truth.masks) == {1, 2, 3} and truth.whole <= set(truth.masks)
        assert all(mask.area > 1000 for mask in truth.masks.values())


@pytest.mark.parametrize(
    "treatment",
    [
        {"flicker": 0.1},
        {"exposure": 0.4},
        {"gloss": 90.0},
        {"shade": 0.5},
        {"gray": True},
        {"blur": True},
        {"camera": 1.0},
    ],
)
def test_what_happens_to_the_image_leaves_the_truth_alone(treatment):
    treated = frames(replace(PLAIN, **treatment))
    assert all(np.array_equal(a.ids, b.ids) for a, b in zip(treated, frames(PLAIN), strict=True))
    assert mean_difference(treated, frames(PLAIN)) > 0.5


def test_bending_bends_the_truth():
    bent = frames(Cutouts("bent", bending_px=9.0))
    shares = [np.mean(a.ids != b.ids) for a, b in zip(bent, frames(PLAIN), strict=True)]
    assert 0.002 < np.mean(shares) < 0.05
    assert bent[0].masks[3].area == pytest.approx(frames(PLAIN)[0].masks[3].area, rel=0.05)


def test_every_photograph_has_its_licence_written_down():
    written = (PHOTOGRAPHS / "README.md").read_text(encoding="utf-8")
    files = sorted(p.name for p in PHOTOGRAPHS.glob("*.jpg"))
    assert files and all(f"`{name}`" in written for name in files)
