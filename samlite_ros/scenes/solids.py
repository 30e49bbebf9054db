"""Balls, boxes, cones and cylinders: their outlines in the image and the light on them.

Each solid is drawn as seen from far away along its own viewing ray (weak perspective), so that every outline is convex
and exact. Local axes: right, up in the image, towards the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.scenes.camera import Camera
from samlite_ros.scenes.world import Light, Thing

Array = NDArray[np.float64]
Field = NDArray[np.float32]
_SUBPIXEL_BITS = 6
_ARC = np.linspace(0, 2 * np.pi, 72, endpoint=False)


@dataclass(frozen=True)
class View:
    """A thing as one camera sees it.

    Args:
        thing: The thing.
        foot_px: (x, y) of the middle of its foot [px].
        radius_px, height_px: Its half width and its height at its depth [px].
        elevation_rad: Angle from which the camera looks down on it.
        depth_m: Depth of its centre along the optical axis [m].
        axes: float64 (3, 3): rows are local right, towards the camera over the floor, and up, in the world.
    """

    thing: Thing
    foot_px: tuple[float, float]
    radius_px: float
    height_px: float
    elevation_rad: float
    depth_m: float
    axes: Array

    @property
    def cos(self) -> float:
        """Share of a height that is seen as height."""
        return float(np.cos(self.elevation_rad))

    @property
    def sin(self) -> float:
        """Share of a length along the floor, away from the camera, that is seen as height."""
        return float(np.sin(self.elevation_rad))

    def to_local(self, direction: Array) -> Array:
        """float64 (3,): a world direction as (right, up in the image, towards the camera)."""
        right, towards, up = self.axes @ direction
        return np.array([right, up * self.cos - towards * self.sin, up * self.sin + towards * self.cos])


def view_of(thing: Thing, camera: Camera, time_s: float) -> View | None:
    """How the camera sees a thing; None where it is behind the camera or not there yet."""
    if time_s < thing.appears_s:
        return None
    centre = thing.foot_m(time_s) + np.array([0.0, 0.0, thing.height_m / 2])
    (pixel,), (depth,) = camera.project(centre[None])
    if depth < 2 * thing.radius_m:
        return None
    ray = centre - camera.pose.position_m
    level = float(np.hypot(ray[0], ray[1]))
    towards = np.array([-ray[0] / level, -ray[1] / level, 0.0])
    elevation = float(np.arctan2(-ray[2], level))
    scale = camera.focal_px / depth
    foot = (float(pixel[0]), float(pixel[1] + 0.5 * thing.height_m * scale * np.cos(elevation)))
    axes = np.stack([[-towards[1], towards[0], 0.0], towards, [0.0, 0.0, 1.0]])
    return View(thing, foot, thing.radius_m * scale, thing.height_m * scale, elevation, float(depth), axes)


def outline_px(view: View) -> Array:
    """float64 (N, 2): the convex outline in the image [px]."""
    ring = np.stack([np.cos(_ARC) * view.radius_px, np.sin(_ARC) * view.radius_px], 1)
    rise = view.height_px * view.cos
    match view.thing.shape:
        case "ball":
            points = ring - (0, rise / 2)
        case "box":
            points = _box_corners(view)[0].reshape(-1, 2)
        case "cone":
            points = np.concatenate([ring * (1, view.sin), [(0, -rise)]])
        case _:
            points = np.concatenate([ring * (1, view.sin), ring * (1, view.sin) - (0, rise)])
    hull = cv2.convexHull((points + view.foot_px).astype(np.float32))
    return hull[:, 0].astype(np.float64)


def outline_area_px(outline: Array) -> float:
    """Area inside an outline, whether in the image or not [px^2]."""
    x, y = outline.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def fill(canvas: NDArray[np.uint8], outline: Array, offset: tuple[int, int], value: int, smooth: bool) -> None:
    """Fill a convex outline; as cv2 draws the border line too, what is filled is up to a pixel wider.

    Args:
        canvas: uint8 (h, w), written to.
        outline: float64 (N, 2) [px]; pixel (0, 0) covers 0 to 1.
        offset: (x, y) of the canvas in the image [px].
        value: Written inside.
        smooth: Blend the border by its share of each pixel.
    """
    points = np.round((outline - offset - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillConvexPoly(canvas, points, value, cv2.LINE_AA if smooth else cv2.LINE_8, _SUBPIXEL_BITS)


def _box_corners(view: View) -> tuple[Array, Array]:
    """float64 (2, 4, 2): bottom and top corners about the foot [px], in order around; (2, 3): the box's two axes."""
    yaw = view.thing.yaw_rad
    axes = np.array([[np.cos(yaw), np.sin(yaw), 0.0], [-np.sin(yaw), np.cos(yaw), 0.0]])
    local = np.stack([view.to_local(axis) for axis in axes])
    flat = local[:, :2] * (1, -1) * view.radius_px
    bottom = np.array([a * flat[0] + b * flat[1] for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    return np.stack([bottom, bottom - (0, view.height_px * view.cos)]), local


def paint(view: View, light: Light, x0: int, y0: int, w: int, h: int) -> Field:
    """Colour of a solid's surface over a window.

    Args:
        view: The solid.
        light: The lamp.
        x0, y0, w, h: The window in the image [px].

    Returns:
        float32 (h, w, 3), 0 to about 255; pixels outside the outline hold whatever is cheapest.
    """
    dx = np.arange(x0, x0 + w, dtype=np.float32)[None] + np.float32(0.5 - view.foot_px[0])
    dy = np.float32(view.foot_px[1] - 0.5) - np.arange(y0, y0 + h, dtype=np.float32)[:, None]
    lamp = view.to_local(np.array(light.direction))
    half = lamp + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    shader = {"ball": _shade_ball, "box": _shade_box, "cone": _shade_cone}.get(view.thing.shape, _shade_cylinder)
    diffuse, glint = shader(view, dx, dy, lamp, half, light.sharpness)
    level = diffuse * np.float32(light.diffuse) + np.float32(light.ambient)
    level *= 0.86 + 0.14 * np.clip(dy / np.float32(max(view.height_px * view.cos, 1.0)), 0, 1)
    surface = level[..., None] * (np.array(view.thing.albedo, np.float32) * 255)
    surface += (glint * np.float32(view.thing.gloss * 255))[..., None]
    return surface


def _lambert(normal: tuple[Field, Field, Field], lamp: Array) -> Field:
    nx, ny, nz = normal
    a, b, c = (np.float32(x) for x in lamp)
    facing: Field = nx * a + ny * b + nz * c
    return np.maximum(facing, 0)


def _shade_ball(view: View, dx: Field, dy: Field, lamp: Array, half: Array, sharpness: float) -> tuple[Field, Field]:
    nx = dx / np.float32(view.radius_px)
    ny = dy / np.float32(view.radius_px) - np.float32(view.cos)
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0))
    return _lambert((nx, ny, nz), lamp), _lambert((nx, ny, nz), half) ** np.float32(sharpness)


def _shade_cylinder(
    view: View, dx: Field, dy: Field, lamp: Array, half: Array, sharpness: float
) -> tuple[Field, Field]:
    sx = np.clip(dx / np.float32(view.radius_px), -1, 1)  # one row: the side does not change with height
    depth = np.sqrt(1 - sx * sx)
    normal = (sx, depth * np.float32(-view.sin), depth * np.float32(view.cos))
    squeezed = (dy - np.float32(view.height_px * view.cos)) / np.float32(view.radius_px * view.sin)
    on_top = sx * sx + squeezed * squeezed < 1
    top = np.float32(_facing(_up(view), lamp)), np.float32(0.15 * _facing(_up(view), half) ** sharpness)
    side = _lambert(normal, lamp), 0.6 * _lambert(normal, half) ** np.float32(sharpness)
    return np.where(on_top, top[0], side[0]), np.where(on_top, top[1], side[1])


def _shade_cone(view: View, dx: Field, dy: Field, lamp: Array, half: Array, sharpness: float) -> tuple[Field, Field]:
    rise, base = view.height_px * view.cos, view.radius_px * view.sin
    share = np.clip((rise - dy) / np.float32(rise + base), 0.02, 1)  # distance from the tip
    sx = np.clip(dx / (np.float32(view.radius_px) * np.minimum(share * np.float32((rise + base) / rise), 1)), -1, 1)
    depth = np.sqrt(1 - sx * sx)
    slant = float(np.hypot(view.radius_px, view.height_px))
    out, lift = np.float32(view.height_px / slant), np.float32(view.radius_px / slant)
    up = _up(view).astype(np.float32)
    normal = (
        sx * out,
        depth * (out * np.float32(-view.sin)) + lift * up[1],
        depth * (out * np.float32(view.cos)) + lift * up[2],
    )
    return _lambert(normal, lamp), 0.6 * _lambert(normal, half) ** np.float32(sharpness)


def _facing(normal: Array, direction: Array) -> float:
    return max(float(normal @ direction), 0.0)


def _up(view: View) -> Array:
    return np.array([0.0, view.cos, view.sin])


def _shade_box(view: View, dx: Field, dy: Field, lamp: Array, half: Array, sharpness: float) -> tuple[Field, Field]:
    corners, axes = _box_corners(view)
    bottom, top = corners + view.foot_px
    offset = (round(float(view.foot_px[0] + dx[0, 0] - 0.5)), round(float(view.foot_px[1] - dy[0, 0] - 0.5)))
    faces = np.zeros((dy.shape[0], dx.shape[1]), np.uint8)
    levels = np.zeros((6, 2), np.float32)
    sides = [(0, 1, -axes[1]), (1, 2, axes[0]), (2, 3, axes[1]), (3, 0, -axes[0])]
    seen = [(np.stack([bottom[i], bottom[j], top[j], top[i]]), n) for i, j, n in sides if n[2] > 0]
    for number, (face, normal) in enumerate([*seen, (top, _up(view))]):
        levels[number] = _facing(normal, lamp), 0.3 * _facing(normal, half) ** sharpness
        fill(faces, face, offset, number, smooth=False)
    levels[4] = levels[:3].max(0) + np.array([0.18, 0.1])  # worn edges catch the light
    points = [np.round((face - offset - 0.5) * 64).astype(np.int32) for face in [*(f for f, _ in seen), top]]
    cv2.polylines(faces, points, True, 4, max(1, round(view.radius_px / 40)), cv2.LINE_8, _SUBPIXEL_BITS)
    return levels[faces, 0], levels[faces, 1]


def towards_px(view: View, dx: Array, dy: Array) -> Array:
    """How much nearer than the middle of its foot a solid's surface is, along the ray to it.

    Args:
        view: The solid.
        dx: float64 (1, w): to the right of the middle of its foot [px].
        dy: float64 (h, 1): above it in the image [px].

    Returns:
        float64 (h, w) [px], at the scale of the view; outside the outline whatever is cheapest.
    """
    match view.thing.shape:
        case "ball":
            lift = view.radius_px
            inside = lift**2 - dx**2 - (dy - lift * view.cos) ** 2
            return np.asarray(lift * view.sin + np.sqrt(np.maximum(inside, 0)))
        case "box":
            _, axes = _box_corners(view)
            sides = [_plane(n, view.radius_px, dx, dy) for n in (*axes, *-axes) if n[2] > 1e-6]
            return np.asarray(np.minimum.reduce([*sides, _plane(_up(view), view.height_px, dx, dy)]))
        case "cone":
            return _cone_towards(view, dx, dy)
    out = np.sqrt(np.maximum(view.radius_px**2 - dx**2, 0))
    side = (dy + out * view.sin) / view.cos * view.sin + out * view.cos
    return np.asarray(np.minimum(side, _plane(_up(view), view.height_px, dx, dy)))


def _plane(normal: Array, distance_px: float, dx: Array, dy: Array) -> Array:
    """float64 (h, w): where the rays meet a face; its normal is local, its distance from the middle of the foot."""
    return np.asarray((distance_px - normal[0] * dx - normal[1] * dy) / normal[2])


def _cone_towards(view: View, dx: Array, dy: Array) -> Array:
    """Of a cone: where a ray at (dx, dy) meets dx^2 + b^2 = (radius - slope * height)^2, b over the floor."""
    slope = view.radius_px / view.height_px
    a, b = view.radius_px - slope * dy / view.cos, slope * view.sin / view.cos
    root = np.sqrt(np.maximum(a**2 + dx**2 * (b**2 - 1), 0))
    lead = 1 - b**2 if abs(1 - b**2) > 1e-6 else 1e-6
    ways = [(-a * b + sign * root) / lead for sign in (1, -1)]
    valid = [np.where(a - b * way >= -1e-6, way, -np.inf) for way in ways]
    out = np.maximum(*valid)
    out = np.where(np.isfinite(out), out, 0.0)
    height = np.clip((dy + out * view.sin) / view.cos, 0, view.height_px)
    return np.asarray(height * view.sin + out * view.cos)
