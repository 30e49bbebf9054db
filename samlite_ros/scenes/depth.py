"""How far away everything in a rendered world is: exactly, and as a depth camera measures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.scenes.camera import Camera
from samlite_ros.scenes.render import Silhouette
from samlite_ros.scenes.solids import towards_px
from samlite_ros.scenes.world import World

Field = NDArray[np.float32]
FAR_M = 60.0
"""What lies farther away, or nowhere, is at this depth [m]."""


@dataclass(frozen=True)
class DepthSensor:
    """What a stereo or structured-light camera does to depth.

    Args:
        noise_per_m: Standard deviation at 1 m [m]; it grows with the square of the distance.
        step_per_m: Steps of the measured depth at 1 m [m]; they grow with the square of the distance too.
        hole_share: Share of the pixels beside an edge of depth that are not measured.
        flying_share: Share of those that lie between the two surfaces.
        dropped_share: Share of all pixels that are not measured.
        range_m: Nearest and farthest depth that is measured [m].
    """

    noise_per_m: float = 0.002
    step_per_m: float = 0.001
    hole_share: float = 0.3
    flying_share: float = 0.3
    dropped_share: float = 0.01
    range_m: tuple[float, float] = (0.2, 12.0)


def draw_depth(world: World, camera: Camera, drawn: Sequence[Silhouette]) -> Field:
    """The exact depth of what `render.draw_ids` shows.

    Args:
        world: The world.
        camera: Where it is seen from.
        drawn: Silhouettes, far to near.

    Returns:
        float32 (H, W): distance along the optical axis [m].
    """
    depth = _planes(world, camera)
    for one in drawn:
        covered = one.coverage >= 128
        depth[one.window][covered] = _solid(one, camera)[covered]
    return depth


def measure_depth(depth: Field, sensor: DepthSensor, rng: np.random.Generator) -> NDArray[np.uint16]:
    """As a depth camera measures it.

    Args:
        depth: float32 (H, W) [m], exact.
        sensor: The camera.
        rng: Draws its noise.

    Returns:
        uint16 (H, W) [mm]; 0 = not measured.
    """
    noisy = depth + depth**2 * np.float32(sensor.noise_per_m) * rng.standard_normal(depth.shape, np.float32)
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(depth, kernel), cv2.dilate(depth, kernel)
    edge = np.asarray(high - low > 0.02 + 0.03 * depth)
    share = cv2.GaussianBlur(rng.random(depth.shape, np.float32), (0, 0), 1.0)  # holes and flying pixels come in clumps
    rank = np.argsort(np.argsort(share[edge])) / max(int(edge.sum()), 1)
    spoilt = noisy[edge]
    flying = (rank >= sensor.hole_share) & (rank < sensor.hole_share + sensor.flying_share)
    mix = rng.random(len(rank))
    spoilt[flying] = (low[edge] * mix + high[edge] * (1 - mix))[flying]
    spoilt[rank < sensor.hole_share] = 0
    noisy[edge] = spoilt
    step = np.maximum(noisy**2 * np.float32(sensor.step_per_m), np.float32(1e-4))
    measured = np.round(noisy / step) * step
    nearest, farthest = sensor.range_m
    lost = (measured < nearest) | (measured > farthest) | (rng.random(depth.shape) < sensor.dropped_share)
    return np.where(lost, 0, np.round(measured * 1000)).astype(np.uint16)


@dataclass(frozen=True, eq=False)
class TruePlace:
    """Where the visible surface of a thing is, exactly; in the camera's optical frame: x right, y down, z ahead.

    Args:
        position_m: float64 (3,): its middle, the median along each axis [m].
        box_center_m, box_size_m: float64 (3,): the box around it, along the axes [m].
    """

    position_m: NDArray[np.float64]
    box_center_m: NDArray[np.float64]
    box_size_m: NDArray[np.float64]


def true_place(mask: NDArray[np.bool_], depth: Field, focal_px: float) -> TruePlace:
    """The place of what a mask shows, which has at least one pixel; the principal point is the image's centre."""
    rows, columns = np.nonzero(mask)
    z = depth[rows, columns].astype(np.float64)
    h, w = mask.shape
    x, y = (columns + 0.5 - w / 2) * z / focal_px, (rows + 0.5 - h / 2) * z / focal_px
    points, half = np.stack([x, y, z]), 0.5 * z / focal_px
    reach = np.stack([half, half, np.zeros_like(half)])  # of a pixel
    low, high = (points - reach).min(1), (points + reach).max(1)
    return TruePlace(np.median(points, axis=1), (low + high) / 2, high - low)


def _planes(world: World, camera: Camera) -> Field:
    """Floor and wall."""
    h, w = camera.size
    right, up, forward = camera.axes
    across = (np.arange(w) + 0.5 - w / 2) / camera.focal_px
    along = (h / 2 - np.arange(h) - 0.5) / camera.focal_px
    _, y, z = camera.pose.position_m
    down = -(right[2] * across[None] + up[2] * along[:, None] + forward[2])
    ahead = right[1] * across[None] + up[1] * along[:, None] + forward[1]
    with np.errstate(divide="ignore"):
        floor = np.where(down > 0, z / down, np.inf)
        wall = np.where(ahead > 0, (world.wall_m - y) / ahead, np.inf)
    return np.minimum(np.minimum(floor, wall), FAR_M).astype(np.float32)


def _solid(drawn: Silhouette, camera: Camera) -> Field:
    """float32 (h, w) [m]: depth of a thing's surface over its window; nonsense outside its outline."""
    view = drawn.view
    h, w = drawn.coverage.shape
    dx = np.arange(drawn.x0, drawn.x0 + w)[None] + 0.5 - view.foot_px[0]
    dy = view.foot_px[1] - 0.5 - np.arange(drawn.y0, drawn.y0 + h)[:, None]
    right, towards, up = view.axes
    rise, lean = view.height_px * view.cos / 2, view.height_px * view.sin / 2
    forward = camera.axes[2]
    ahead = (
        dx * float(forward @ right)
        + (dy - rise) * float(forward @ (view.cos * up - view.sin * towards))
        + (towards_px(view, dx, dy) - lean) * float(forward @ (view.sin * up + view.cos * towards))
    )
    return (view.depth_m + ahead * view.thing.radius_m / view.radius_px).astype(np.float32)
