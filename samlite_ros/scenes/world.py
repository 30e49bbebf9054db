"""What a rendered world consists of, and how one is drawn at random from a seed."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samlite_ros.scenes.camera import Camera, CameraPose
from samlite_ros.scenes.textures import TEXTURE_COUNT
from samlite_ros.scenes.vocabulary import COLOURS, SHAPES

_HUES_DEG = {
    "red": (-6, 6),
    "orange": (21, 31),
    "yellow": (50, 60),
    "green": (105, 140),
    "cyan": (176, 190),
    "blue": (215, 236),
    "purple": (268, 288),
    "pink": (318, 334),
}
_COUNT_WEIGHTS = (0.05, 0.10, 0.14, 0.17, 0.17, 0.14, 0.11, 0.07, 0.05)
"""Chance of 0 to 8 objects."""
LOOK_DISTANCE_M = 1.5
"""Distance along the optical axis at which the centre of the image meets the floor."""


@dataclass(frozen=True)
class Thing:
    """One object that stands (or slides) on the floor.

    Args:
        track_id: Its identity, from 1.
        shape, colour: Words of the vocabulary.
        position_m: (x, y) of its foot at time 0 [m].
        radius_m: Half its width [m]; of a box half its edge.
        height_m: Its height [m]; a ball's is twice its radius.
        yaw_rad: Turn about the vertical axis.
        albedo: (r, g, b), 0 to 1.
        gloss: Strength of the highlight, 0 to 1.
        grain: Strength of its surface texture, 0 to 1.
        grain_index: Which surface texture.
        velocity_m_s: (vx, vy) over the floor [m/s].
        appears_s: It is not there before this time [s].
        lap_s: After so long it starts again at `position_m` [s].
        phase_s: How far in its lap it is at time 0 [s].
    """

    track_id: int
    shape: str
    colour: str
    position_m: tuple[float, float]
    radius_m: float
    height_m: float
    yaw_rad: float
    albedo: tuple[float, float, float]
    gloss: float
    grain: float
    grain_index: int
    velocity_m_s: tuple[float, float] = (0.0, 0.0)
    appears_s: float = 0.0
    lap_s: float = math.inf
    phase_s: float = 0.0

    def foot_m(self, time_s: float) -> NDArray[np.float64]:
        """float64 (3,): where it stands at a time [m]."""
        (x, y), (vx, vy) = self.position_m, self.velocity_m_s
        since_s = math.fmod(time_s + self.phase_s, self.lap_s)
        return np.array([x + vx * since_s, y + vy * since_s, 0.0])


@dataclass(frozen=True)
class Light:
    """A distant lamp and the light from everywhere.

    Args:
        direction: (x, y, z) towards the lamp, of length 1.
        ambient, diffuse: Strengths, 0 to 1.
        shadow: Darkness of cast shadows, 0 to 1.
        softness: Blur of shadows as a share of the image's width.
        sharpness: Exponent of the highlights.
    """

    direction: tuple[float, float, float]
    ambient: float
    diffuse: float
    shadow: float
    softness: float
    sharpness: float


@dataclass(frozen=True)
class Surface:
    """Look of the floor or a wall.

    Args:
        texture: Index into the texture library.
        dark, light: (r, g, b) that the texture's 0 and 255 become, 0 to 1.
        period_m: Edge of one texture tile [m].
        angle_rad: Turn of the texture.
    """

    texture: int
    dark: tuple[float, float, float]
    light: tuple[float, float, float]
    period_m: float
    angle_rad: float


@dataclass(frozen=True)
class Sensor:
    """What the camera does to the light.

    Args:
        gain: Exposure.
        blur_px: Standard deviation of the blur at 640 px width [px].
        noise: Standard deviation of the noise, of 255.
        flicker: Standard deviation of the exposure from frame to frame, relative.
    """

    gain: float
    blur_px: float
    noise: float
    flicker: float = 0.0


@dataclass(frozen=True)
class World:
    """Everything there is to see, apart from the camera's motion."""

    things: tuple[Thing, ...]
    light: Light
    floor: Surface
    wall: Surface
    wall_m: float
    shading: int
    sensor: Sensor


@dataclass(frozen=True)
class WorldOptions:
    """What may be drawn.

    Args:
        excluded_pairs: (colour, shape) pairs that never occur.
        count: Number of objects; None = 0 to 8 at random.
        width_px: Least and largest usual width of an object in an image 640 px wide [px].
        tail: Chance that an object is smaller than usual (down to 12 px), and that it is larger (up to half the image).
    """

    excluded_pairs: frozenset[tuple[str, str]] = frozenset()
    count: int | None = None
    width_px: tuple[float, float] = (54.0, 160.0)
    tail: tuple[float, float] = (0.12, 0.05)
    pairs: tuple[tuple[str, str], ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        pairs = tuple((c, s) for c in COLOURS for s in SHAPES if (c, s) not in self.excluded_pairs)
        object.__setattr__(self, "pairs", pairs)


def random_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """A camera that looks down on the floor at 20 to 52 degrees, 1.5 m from what it looks at."""
    pitch = float(rng.uniform(0.35, 0.9))
    position = (0.0, -LOOK_DISTANCE_M * float(np.cos(pitch)), LOOK_DISTANCE_M * float(np.sin(pitch)))
    return Camera(CameraPose(position, 0.0, pitch), float(rng.uniform(0.85, 1.3)) * size[1], size)


def random_world(rng: np.random.Generator, views: tuple[Camera, ...], options: WorldOptions) -> World:
    """A world to be seen by these cameras.

    Args:
        rng: Random numbers.
        views: Each object stands where one of these, drawn at random, sees it.
        options: What may be drawn.
    """
    wall_m = _wall_distance(rng, views[0])
    count = int(rng.choice(9, p=_COUNT_WEIGHTS)) if options.count is None else options.count
    return World(
        things=_random_things(rng, views, wall_m, count, options),
        light=_random_light(rng),
        floor=_random_surface(rng, vivid=0.25),
        wall=_random_surface(rng, vivid=0.1),
        wall_m=wall_m,
        shading=int(rng.integers(1 << 30)),
        sensor=Sensor(
            gain=float(rng.uniform(0.75, 1.15)),
            blur_px=float(rng.uniform(0.4, 1.8)) if rng.random() < 0.5 else 0.0,
            noise=float(rng.uniform(0.5, 8.0)),
        ),
    )


def _wall_distance(rng: np.random.Generator, camera: Camera) -> float:
    """Forward distance of the back wall, so that it meets the floor in the upper third or above the image [m]."""
    below = camera.pose.pitch_rad - np.arctan((0.5 - rng.uniform(-0.3, 0.28)) * camera.size[0] / camera.focal_px)
    return float(camera.pose.position_m[1] + camera.pose.position_m[2] / np.tan(max(below, 0.1)))


def _random_things(
    rng: np.random.Generator, views: tuple[Camera, ...], wall_m: float, count: int, options: WorldOptions
) -> tuple[Thing, ...]:
    things: list[Thing] = []
    scale = float(rng.uniform(0.8, 1.25))
    for _ in range(count * 15):
        if len(things) >= count:
            break
        thing = random_thing(rng, views[rng.integers(len(views))], len(things) + 1, scale, options)
        if thing is not None and thing.position_m[1] + thing.radius_m < wall_m and _is_clear(thing, things):
            things.append(thing)
    return tuple(things)


def _is_clear(thing: Thing, others: list[Thing]) -> bool:
    """True where the thing stands in no other one."""
    return all(
        np.hypot(thing.position_m[0] - o.position_m[0], thing.position_m[1] - o.position_m[1])
        > 1.05 * (thing.radius_m + o.radius_m)
        for o in others
    )


def random_thing(
    rng: np.random.Generator, camera: Camera, track_id: int, scale: float, options: WorldOptions
) -> Thing | None:
    """An object that stands where the camera sees it; None where the drawn pixel is not on the floor."""
    h, w = camera.size
    foot = camera.floor_point(rng.uniform(0.03, 0.97) * w, rng.uniform(0.08, 1.0) * h)
    width_px = _random_width(rng, options) * scale * w / 640
    colour, shape = options.pairs[rng.integers(len(options.pairs))]
    if foot is None:
        return None
    radius = float(min(width_px / 2, 0.3 * h) * LOOK_DISTANCE_M / camera.focal_px)
    return Thing(
        track_id=track_id,
        shape=shape,
        colour=colour,
        position_m=(float(foot[0]), float(foot[1])),
        radius_m=radius * (0.82 if shape == "box" else 1.0),
        height_m=radius * _random_height(rng, shape),
        yaw_rad=float(rng.uniform(0, np.pi / 2)),
        albedo=random_albedo(rng, colour),
        gloss=float(rng.uniform(0, 0.6)),
        grain=float(rng.uniform(0, 0.12)) if rng.random() < 0.6 else 0.0,
        grain_index=int(rng.integers(1 << 16)),
    )


def _random_width(rng: np.random.Generator, options: WorldOptions) -> float:
    (least, largest), (small, large) = options.width_px, options.tail
    draw = rng.random()
    if draw < small:
        return float(np.exp(rng.uniform(np.log(12.0), np.log(least))))
    if draw > 1 - large:
        return float(rng.uniform(largest, 300.0))
    return float(np.exp(rng.uniform(np.log(least), np.log(largest))))


def _random_height(rng: np.random.Generator, shape: str) -> float:
    """Height over radius."""
    low, high = {"ball": (2.0, 2.0), "box": (1.0, 2.0), "cone": (1.8, 3.0), "cylinder": (1.4, 2.8)}[shape]
    return float(rng.uniform(low, high))


def random_albedo(rng: np.random.Generator, colour: str) -> tuple[float, float, float]:
    """A surface colour that people call by this name, (r, g, b), 0 to 1."""
    low, high = _HUES_DEG[colour]
    saturation = rng.uniform(0.45, 0.72) if colour == "pink" else rng.uniform(0.74, 1.0)
    value = rng.uniform(0.85, 1.0) if colour in ("pink", "yellow", "orange") else rng.uniform(0.7, 1.0)
    return colorsys.hsv_to_rgb(rng.uniform(low, high) / 360 % 1.0, float(saturation), float(value))


def _random_light(rng: np.random.Generator) -> Light:
    azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.45, 1.3)
    direction = (np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation))
    return Light(
        direction=tuple(float(x) for x in direction),  # type: ignore[arg-type]
        ambient=float(rng.uniform(0.3, 0.55)),
        diffuse=float(rng.uniform(0.45, 0.8)),
        shadow=float(rng.uniform(0.25, 0.6)),
        softness=float(rng.uniform(0.003, 0.015)),
        sharpness=float(rng.uniform(8, 50)),
    )


def _random_surface(rng: np.random.Generator, vivid: float) -> Surface:
    hue, saturation, value = rng.uniform(0, 1), rng.uniform(0, 0.25), rng.uniform(0.3, 0.85)
    if rng.random() < vivid:
        saturation = rng.uniform(0.2, 0.45)
    elif rng.random() < 0.3:  # wood
        hue, saturation, value = rng.uniform(0.05, 0.11), rng.uniform(0.2, 0.5), rng.uniform(0.35, 0.75)
    contrast = rng.uniform(0.05, 0.45)
    dark = colorsys.hsv_to_rgb(hue, float(saturation), float(value * (1 - contrast)))
    light = colorsys.hsv_to_rgb(hue, float(saturation * 0.9), float(min(value * (1 + contrast), 1.0)))
    return Surface(
        int(rng.integers(TEXTURE_COUNT)), dark, light, float(rng.uniform(1.2, 2.8)), float(rng.uniform(0, np.pi))
    )
