"""Clips without end."""

import numpy as np
import pytest

from samlite_ros.scenes.clips import CONTRASTS, ENTERING_ID, PLACES, SIZES_PX, Entry, entries, pendulum
from samlite_ros.scenes.hard_sequences import STILL, StreamSequence

SMALL = (120, 160)


def still_truth(frames):
    return list(StreamSequence(STILL, 3, frames, size=SMALL))


def test_frames_go_to_and_fro_with_growing_stamps():
    truth = pendulum(still_truth(4), 9)
    images = [t.frame.image for t in truth]
    same = [next(i for i, image in enumerate(images) if np.array_equal(image, other)) for other in images]
    assert same == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert np.diff([t.frame.stamp_ns for t in truth]) == pytest.approx(1e9 / 30, rel=1e-6)
    assert len(pendulum(still_truth(4))) == 6


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
