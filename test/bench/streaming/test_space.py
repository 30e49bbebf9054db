"""The section of positions: rendered depth, both ways, and what locating costs."""

import numpy as np
import pytest

from samlite_ros.bench.streaming import space, space_images
from samlite_ros.bench.streaming.options import StreamingBenchOptions
from samlite_ros.scenes import Sequence, SequenceOptions


def test_figures_of_a_short_sequence(monkeypatch) -> None:
    monkeypatch.setattr(space, "KINDS", ("fly",))
    monkeypatch.setattr(space, "ROUNDS", 4)
    monkeypatch.setattr(space_images.run, "__defaults__", (2,))
    monkeypatch.setattr(space_images, "SHOTS", (0,))
    options = StreamingBenchOptions(frames=10, profiles_ms=(126.0,))
    figures = {f.name: f for f in space.run(options, lambda items, text: items)}
    assert figures["positions in images/exact mask/centre p95"].value < 4
    assert figures["positions in images/2 px too large/width p50"].value == pytest.approx(100, abs=20)
    ours = figures["positions fly/126 ms/ours smoothed p50"]
    assert 0 < ours.value < 3 and ours.count > 20
    assert figures["positions fly/126 ms/usual raw p50"].value > ours.value
    assert figures["cost of positions/640 x 480/8 things"].unit == "ms"


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
