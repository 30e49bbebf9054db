"""Clips without end."""

import numpy as np
import pytest

from samlite_ros.scenes.clips import pendulum
from samlite_ros.scenes.hard_sequences import STILL, StreamSequence


def still_truth(frames):
    return list(StreamSequence(STILL, 3, frames, size=(120, 160)))


def test_frames_go_to_and_fro_with_growing_stamps():
    truth = pendulum(still_truth(4), 9)
    images = [t.frame.image for t in truth]
    same = [next(i for i, image in enumerate(images) if np.array_equal(image, other)) for other in images]
    assert same == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert np.diff([t.frame.stamp_ns for t in truth]) == pytest.approx(1e9 / 30, rel=1e-6)
    assert len(pendulum(still_truth(4))) == 6
