"""Rendered depth, in the frame of its camera and in the world."""

import numpy as np
import pytest

from samlite_ros.bench.streaming import space
from samlite_ros.scenes import Sequence, SequenceOptions


def test_the_world_stands_still_while_the_camera_moves() -> None:
    first, *_, last = space.render(Sequence("fly", 3, SequenceOptions(frames=5, rate_hz=5.0)))
    both = first.places.keys() & last.places.keys()
    assert both
    for thing in both:
        there = [
            space.to_world(f.scene.camera).points(f.places[thing].position_m[:, None])[:, 0] for f in (first, last)
        ]
        assert np.linalg.norm(there[0] - there[1]) < 0.1
        assert there[0][2] == pytest.approx(there[1][2], abs=0.05) and 0 < there[0][2] < 0.6
