"""Hard sequences are the same every time, and their truth moves as their images do."""

import numpy as np
import pytest

from samlite_ros.scenes.hard_sequences import DEVELOPMENT, HELD_OUT, StreamSequence, _warped_ids


def test_warped_truth_moves_by_fractions_of_a_pixel():
    y, x = np.ogrid[:60, :60]

    def disc(shift):
        return np.uint8(5) * ((x - 30.2 - shift) ** 2 + (y - 30.1 - shift) ** 2 < 12.3**2)

    overlaps = []
    for shift in np.linspace(0.1, 1.9, 10):
        warped = _warped_ids(disc(0), np.float64([[1, 0, shift], [0, 1, shift]]), (60, 60))
        assert set(np.unique(warped)) == {0, 5}
        both, either = (warped > 0) & (disc(shift) > 0), (warped > 0) | (disc(shift) > 0)
        overlaps.append(np.count_nonzero(both) / np.count_nonzero(either))
    assert np.mean(overlaps) > 0.975  # of the nearest ids .96


@pytest.mark.parametrize("difficulty", [*DEVELOPMENT, *HELD_OUT], ids=lambda d: d.name)
def test_sequences_are_the_same_every_time_and_move(difficulty):
    sequence = StreamSequence(difficulty, 3, 2, size=(120, 160))
    first, again = list(sequence), list(sequence)
    assert all(np.array_equal(a.frame.image, b.frame.image) for a, b in zip(first, again, strict=True))
    assert first[0].frame.image.shape == (120, 160, 3) and first[0].frame.stamp_ns < first[1].frame.stamp_ns
    assert not np.array_equal(first[0].frame.image, first[1].frame.image)
    assert all(set(t.whole) <= set(np.unique(t.ids)) - {0} for t in first)
