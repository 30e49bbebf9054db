"""Rendered image sequences with known motion and exact truth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from samlite_ros.scenes.camera import Camera, CameraPose
from samlite_ros.scenes.depth import draw_depth
from samlite_ros.scenes.render import Renderer, Scene, silhouettes
from samlite_ros.scenes.world import (
    LOOK_DISTANCE_M,
    Sensor,
    Thing,
    World,
    WorldOptions,
    random_camera,
    random_world,
)

Kind = Literal["still", "pan", "fly", "cross", "appear"]
KINDS: tuple[Kind, ...] = get_args(Kind)
START_NS = 1_000_000_000
"""Stamp of the first frame [ns]; not 0, which means "never"."""

_STREAM = 2
_PAN_REACH_RAD = 0.6
_FLY_REACH_M = 0.45


@dataclass(frozen=True)
class SequenceOptions:
    """How a sequence is made.

    Args:
        size: (H, W) [px].
        rate_hz: Frames per second [Hz].
        frames: Number of frames.
        speed_px_s: Speed of the motion in the image [px/s] at 640 px width: of the image's centre ('pan'), of the
            floor at the image's centre at the most ('fly'), of the fastest object ('cross').
        count: Objects in view at a time, about; None = 5.
        appears_s: When the new object of 'appear' is there [s].
        world: What may be drawn; its `count` is not read.
    """

    size: tuple[int, int] = (480, 640)
    rate_hz: float = 30.0
    frames: int = 210
    speed_px_s: float = 120.0
    count: int | None = None
    appears_s: float = 2.0
    world: WorldOptions = field(default_factory=lambda: WorldOptions(tail=(0.05, 0.05)))


class Sequence:
    """Frames of one world over time, by index in any order.

    'still': nothing moves. 'pan': the camera turns to and fro at a constant rate; objects leave and come back.
    'fly': the camera moves sideways, ahead, up and down on a smooth path. 'cross': a still camera; objects cross the
    image, leave it and come again. 'appear': a still camera; one object is suddenly there.

    Args:
        kind: One of KINDS.
        seed: The same seed gives the same frames.
        options: How it is made.

    Raises:
        ValueError: The kind is none of KINDS.
    """

    def __init__(self, kind: str, seed: int, options: SequenceOptions = SequenceOptions()) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
        self.kind, self.seed, self.options = kind, seed, options
        rng = np.random.default_rng([_STREAM, seed, KINDS.index(kind)])
        self._start = random_camera(rng, options.size)
        self._sign = 1.0 if rng.random() < 0.5 else -1.0
        self._renderer = Renderer(self._build_world(rng))

    def __len__(self) -> int:
        return self.options.frames

    def __iter__(self) -> Iterator[Scene]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Scene:
        """Render one frame.

        Raises:
            IndexError: The index is not in 0 to len - 1.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} is not in 0 to {len(self) - 1}")
        time_s = index / self.options.rate_hz
        rng = np.random.default_rng([_STREAM, self.seed, KINDS.index(self.kind), index])
        scene = self._renderer.render(self.camera_at(time_s), rng, time_s)
        return replace(scene, stamp_ns=self.stamp_ns(index))

    def exact_depth(self, index: int) -> NDArray[np.float32]:
        """float32 (H, W): distance along the optical axis of all that a frame shows [m]."""
        time_s = index / self.options.rate_hz
        camera = self.camera_at(time_s)
        return draw_depth(self.world, camera, silhouettes(self.world, camera, time_s))

    @property
    def world(self) -> World:
        """What is to be seen."""
        return self._renderer.world

    def stamp_ns(self, index: int) -> int:
        """Stamp of a frame [ns]."""
        return START_NS + round(index * 1e9 / self.options.rate_hz)

    def camera_at(self, time_s: float) -> Camera:
        """The camera at a time [s] after the first frame."""
        return replace(self._start, pose=self._pose_at(time_s))

    def _pose_at(self, time_s: float) -> CameraPose:
        pose = self._start.pose
        if self.kind == "pan":
            return replace(pose, yaw_rad=self._sign * _PAN_REACH_RAD * _triangle(self._turn_rate * time_s))
        if self.kind == "fly":
            phase = self._speed_m_s / _FLY_REACH_M * time_s
            x, y, z = pose.position_m
            moved = (
                x + self._sign * _FLY_REACH_M * math.sin(phase),
                y + 0.5 * _FLY_REACH_M * (1 - math.cos(phase)),
                z * (1 + 0.1 * math.sin(0.7 * phase)),
            )
            return replace(pose, position_m=moved)
        return pose

    @property
    def _speed_px_s(self) -> float:
        return self.options.speed_px_s * self.options.size[1] / 640

    @property
    def _speed_m_s(self) -> float:
        """The speed at the distance of what the camera looks at [m/s]."""
        return self._speed_px_s * LOOK_DISTANCE_M / self._start.focal_px

    @property
    def _turn_rate(self) -> float:
        """Turns of the pan per second, in units of its reach."""
        rate_rad_s = self._speed_px_s / (self._start.focal_px * np.cos(self._start.pose.pitch_rad))
        return float(rate_rad_s / _PAN_REACH_RAD)

    def _build_world(self, rng: np.random.Generator) -> World:
        count = 5 if self.options.count is None else self.options.count
        options = replace(self.options.world, count=2 * count if self.kind in ("pan", "fly") else count)
        world = random_world(rng, self._views(), options)
        sensor = Sensor(gain=world.sensor.gain, blur_px=world.sensor.blur_px, noise=4.0, flicker=0.01)
        world = replace(world, sensor=sensor)
        if self.kind == "cross":
            return replace(world, things=self._crossing(rng, world))
        if self.kind == "appear" and world.things:
            last = replace(world.things[-1], appears_s=self.options.appears_s)
            return replace(world, things=(*world.things[:-1], last))
        return world

    def _views(self) -> tuple[Camera, ...]:
        """Cameras along the path, at which objects are placed."""
        if self.kind == "pan":
            yaws = np.linspace(-_PAN_REACH_RAD, _PAN_REACH_RAD, 7)
            return tuple(replace(self._start, pose=replace(self._start.pose, yaw_rad=float(yaw))) for yaw in yaws)
        if self.kind == "fly":
            return tuple(
                self.camera_at(float(t)) for t in np.linspace(0, 2 * np.pi * _FLY_REACH_M / self._speed_m_s, 5)
            )
        return (self._start,)

    def _crossing(self, rng: np.random.Generator, world: World) -> tuple[Thing, ...]:
        """Put the things on parallel lanes on which they cross the image, leave it and come again."""
        things = sorted(world.things, key=lambda thing: thing.position_m[1])
        lanes = _spread_lanes([thing.position_m[1] for thing in things], [thing.radius_m for thing in things])
        return tuple(
            self._on_lane(rng, thing, lane, share)
            for thing, lane, share in zip(things, lanes, rng.permutation(_speed_shares(len(things))), strict=True)
        )

    def _on_lane(self, rng: np.random.Generator, thing: Thing, lane_m: float, share: float) -> Thing:
        foot = np.array([[0.0, lane_m, thing.height_m / 2]])
        _, (depth,) = self._start.project(foot)
        speed = self._speed_px_s * share * depth / self._start.focal_px * (1 if rng.random() < 0.5 else -1)
        half_m = 0.5 * self.options.size[1] * depth / self._start.focal_px + 1.5 * thing.radius_m
        lap_s = float(2 * half_m / abs(speed))
        return replace(
            thing,
            position_m=(float(-np.sign(speed) * half_m), lane_m),
            velocity_m_s=(float(speed), 0.0),
            lap_s=lap_s,
            phase_s=float(rng.uniform(0.1, 0.9) * lap_s),
        )


def _triangle(phase: float) -> float:
    """Triangle wave: 0 at 0, slope 1, between -1 and 1, period 4."""
    return abs((phase - 1) % 4 - 2) - 1


def _speed_shares(count: int) -> np.ndarray:
    """Shares of the full speed: the fastest has all of it, the slowest half."""
    return np.linspace(1.0, 0.5, count) if count else np.zeros(0)


def _spread_lanes(lanes_m: list[float], radii_m: list[float]) -> list[float]:
    """Move lanes apart, near to far, so that things on neighbouring lanes never touch."""
    out: list[float] = []
    for index, lane in enumerate(lanes_m):
        least = out[-1] + 1.2 * (radii_m[index - 1] + radii_m[index]) if out else lane
        out.append(max(lane, least))
    return out


class OneMoves(Sequence):
    """As 'cross', but only one thing crosses the image; all others stand."""

    def _crossing(self, rng: np.random.Generator, world: World) -> tuple[Thing, ...]:
        moving = super()._crossing(rng, world)
        return (moving[0], *sorted(world.things, key=lambda thing: thing.position_m[1])[1:])
