"""Depth of rendered scenes: solids of known size stand where they stand, before what is behind them."""

import numpy as np
import pytest

from samlite_ros.scenes.camera import Camera, CameraPose
from samlite_ros.scenes.depth import DepthSensor, draw_depth, measure_depth
from samlite_ros.scenes.render import draw_ids, silhouettes
from samlite_ros.scenes.sequence import Sequence
from samlite_ros.scenes.world import Thing, World

PITCH = 0.6
CAMERA = Camera(CameraPose((0.0, -1.5 * np.cos(PITCH), 1.5 * np.sin(PITCH)), 0.0, PITCH), 700.0, (480, 640))
WORLD = Sequence("still", 1).world


def world_with(shape: str, radius_m: float = 0.1, height_m: float = 0.2) -> World:
    thing = Thing(1, shape, "red", (0.0, 0.0), radius_m, height_m, 0.3, (1, 0, 0), 0, 0, 0)
    return World((thing,), WORLD.light, WORLD.floor, WORLD.wall, 3.0, 0, WORLD.sensor)


def drawn(shape: str) -> tuple[np.ndarray, np.ndarray]:
    world = world_with(shape)
    seen = silhouettes(world, CAMERA, 0.0)
    return draw_depth(world, CAMERA, seen), draw_ids(seen, CAMERA.size)[0] == 1


def in_world(depth: np.ndarray) -> np.ndarray:
    """float64 (H, W, 3) [m]: back-projected by the pinhole formula."""
    h, w = depth.shape
    x = (np.arange(w) + 0.5 - w / 2) / CAMERA.focal_px * depth
    y = (h / 2 - np.arange(h) - 0.5)[:, None] / CAMERA.focal_px * depth
    return np.stack([x, y, depth], -1) @ CAMERA.axes + np.array(CAMERA.pose.position_m)


@pytest.mark.parametrize("shape", ["ball", "box", "cone", "cylinder"])
def test_a_solid_is_as_large_in_space_as_it_is(shape) -> None:
    depth, mask = drawn(shape)
    points = in_world(depth)[mask]
    assert np.ptp(points[:, 2]) == pytest.approx(0.2, abs=0.03)
    assert np.ptp(points[:, 0]) == pytest.approx(0.25 if shape == "box" else 0.2, abs=0.03)
    assert points[:, 1].min() == pytest.approx(-0.12 if shape == "box" else -0.1, abs=0.03)


def test_a_ball_is_round() -> None:
    depth, mask = drawn("ball")
    away = np.linalg.norm(in_world(depth)[mask] - [0, 0, 0.1], axis=1)
    assert away == pytest.approx(np.full(len(away), 0.1), abs=0.012)


def test_floor_and_wall_are_flat() -> None:
    depth, mask = drawn("ball")
    points = in_world(depth)[~mask]
    on_floor, on_wall = np.abs(points[:, 2]) < 1e-3, np.abs(points[:, 1] - 3.0) < 1e-3
    assert (on_floor | on_wall).all() and on_floor.mean() > 0.3


def test_a_sensor_measures_worse_far_away_and_not_everywhere() -> None:
    exact = np.tile(np.repeat(np.float32([1.0, 4.0]), 100), (200, 1)).astype(np.float32)
    measured = measure_depth(exact, DepthSensor(), np.random.default_rng(0))
    near, far = measured[:, 5:95], measured[:, 105:195]
    assert near[near > 0].std() == pytest.approx(2, rel=0.2)
    assert far[far > 0].std() == pytest.approx(32, rel=0.2)
    edge = measured[:, 99:101]
    assert (edge == 0).mean() == pytest.approx(0.3, abs=0.1)
    assert ((edge > 1100) & (edge < 3800)).mean() > 0.1
    again = measure_depth(exact, DepthSensor(), np.random.default_rng(0))
    assert np.array_equal(measured, again)
