"""Passes of the node with reuse_tokens: what is counted."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from samlite_ros.bench.node import Measurement, camera_images
from samlite_ros.bench.node_process import NetworkTime
from samlite_ros.bench.node_tokens import WITH, WITHOUT, figures_of, setting_of
from samlite_ros.bench.workload import MODELS


def measured(passes, wall_s, computed):
    network = {n: NetworkTime(wall_s, wall_s, computed) for n in range(passes)} | {-1: NetworkTime(9.0, 9.0, 1.0)}
    return Measurement(sent_ns=list(range(20)), network=network, elapsed_s=2.0)


def test_passes_over_what_was_watched_are_compared_round_by_round():
    seen = {WITHOUT: [measured(2, 0.9, 1.0), measured(4, 0.9, 1.0)], WITH: [measured(8, 0.2, 0.5)] * 2}
    found = {f.name.removeprefix("node with reuse_tokens/demo/"): f for f in figures_of("demo", seen)}
    assert found["passes a second, with reuse_tokens"].value == 4.0
    assert found["passes"].value == pytest.approx(3.0)
    assert found["a pass, without"].value == pytest.approx(0.9)
    assert found["tokens computed"].value == pytest.approx(50.0)


def test_the_camera_stands_and_the_node_is_told():
    first, second = camera_images((96, 64), stands=True)[:2]
    assert (abs(first.astype(int) - second).mean(2) < 30).mean() > 0.95
    parameters = setting_of(MODELS["s0-504"], True, 30.0).parameters()
    assert {"reuse_tokens:=true", "image_size:=504", "model:=random:s0"} <= set(parameters)
