"""The floor, the wall behind it, and the shadows on the floor."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.scenes import textures
from samlite_ros.scenes.camera import Camera, CameraPose
from samlite_ros.scenes.world import Light, Surface, Thing, World

Image = NDArray[np.uint8]
Array = NDArray[np.float64]
_ARC = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_RING = np.stack([np.cos(_ARC), np.sin(_ARC)], 1)
_SHADE_SCALE = 4
"""Shadows are drawn at a quarter of the image's size: they are soft."""
_MAX_GAIN = 1.4


class Background:
    """Draws what is behind the objects of one world; floor and wall are kept while the camera stands still.

    Args:
        world: The world.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._pose: CameraPose | None = None
        self._planes: Image | None = None

    def draw(self, camera: Camera, things: Sequence[Thing], time_s: float) -> Image:
        """uint8 (H, W, 3): floor and wall with the shadows of these things at this time."""
        if self._planes is None or camera.pose != self._pose:
            self._planes, self._pose = _draw_planes(self._world, camera), camera.pose
        h, w = camera.size
        shade = _draw_shade(self._world, camera, things, time_s)
        full = cv2.resize(shade, (w, h), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.multiply(self._planes, cv2.merge([full] * 3), scale=_MAX_GAIN / 255), np.uint8)


def _draw_planes(world: World, camera: Camera) -> Image:
    """uint8 (H, W, 3): floor and wall without shadows."""
    h, w = camera.size
    wall_foot = np.array([0.0, world.wall_m, 0.0])
    east, north, up = np.eye(3)
    ahead = np.array(camera.pose.position_m) + 2.0 * camera.axes[2]
    (left, right), _ = camera.project(wall_foot + np.array([[-3.0, 0, 0], [3.0, 0, 0]]))
    foot_px = left[1] + (right[1] - left[1]) * (np.array([0.0, w]) - left[0]) / (right[0] - left[0])
    first, last = (int(np.clip(row, 0, h)) for row in (foot_px.min() - 2, foot_px.max() + 2))
    image = np.empty((h, w, 3), np.uint8)
    if first < h:
        image[first:] = _draw_plane(world.floor, camera, (first, h), np.zeros(3), east, north, ahead)
    if foot_px.max() > 0:
        wall = _draw_plane(world.wall, camera, (0, last), wall_foot, east, up, wall_foot + ahead * east)
        above = np.zeros((last, w), np.uint8)
        corners = np.array([[-1, -2], [w + 1, -2], [w + 1, foot_px[1]], [-1, foot_px[0]]])
        cv2.fillConvexPoly(above, np.round(corners).astype(np.int32), 255)
        cv2.copyTo(wall, above, image[:last])
    return image


def _draw_plane(
    surface: Surface, camera: Camera, rows: tuple[int, int], origin_m: Array, u_m: Array, v_m: Array, near_m: Array
) -> Image:
    """uint8 (rows, W, 3): a textured plane that fills these rows; `near_m` is a point near what is seen of it."""
    step = surface.period_m / textures.SIZE_PX
    c, s = np.cos(surface.angle_rad) * step, np.sin(surface.angle_rad) * step
    u, v = c * u_m + s * v_m, c * v_m - s * u_m
    tile = [round(float((near_m - origin_m) @ a / (a @ a)) / textures.SIZE_PX) - textures.TILES // 2 for a in (u, v)]
    corner = origin_m + textures.SIZE_PX * (tile[0] * u + tile[1] * v)
    to_rows = np.array([[1.0, 0, 0], [0, 1, -rows[0]], [0, 0, 1]])
    grey = cv2.warpPerspective(
        textures.surface_texture(surface.texture),
        to_rows @ camera.plane_homography(corner, u, v),
        (camera.size[1], rows[1] - rows[0]),
        borderMode=cv2.BORDER_REPLICATE,
    )
    ramp = np.linspace(surface.dark, surface.light, 256) * 255
    return np.asarray(cv2.LUT(cv2.merge([grey] * 3), ramp.astype(np.uint8)[None]), np.uint8)


def _draw_shade(world: World, camera: Camera, things: Sequence[Thing], time_s: float) -> Image:
    """uint8 (H/4, W/4): factor on the background, 255 = 1.4."""
    h, w = camera.size[0] // _SHADE_SCALE, camera.size[1] // _SHADE_SCALE
    cast, contact = np.zeros((h, w), np.uint8), np.zeros((h, w), np.uint8)
    for thing in things:
        _fill_floor(cast, camera, shadow_outline_m(thing, world.light, time_s))
        _fill_floor(contact, camera, thing.foot_m(time_s)[:2] + _RING * thing.radius_m * 1.08)
    soft = max(world.light.softness * w, 0.5)
    dark = cv2.GaussianBlur(cast, (0, 0), soft).astype(np.float32) * np.float32(world.light.shadow / 255)
    close = cv2.GaussianBlur(contact, (0, 0), max(w / 160, 0.5)).astype(np.float32) * np.float32(0.4 / 255)
    level = cv2.resize(textures.illumination(world.shading), (w, h)) * (1 - dark) * (1 - close)
    return np.asarray(level * (255 / _MAX_GAIN), np.uint8)


def shadow_outline_m(thing: Thing, light: Light, time_s: float) -> Array:
    """float64 (N, 2): the convex outline of a thing's shadow on the floor [m]."""
    x, y, z = light.direction
    foot = thing.foot_m(time_s)[:2]
    shift = np.array([-x, -y]) / z * thing.height_m
    if thing.shape == "ball":
        middle = _RING * thing.radius_m
        points = np.concatenate([middle * 0.3, middle + shift / 2, middle * 0.6 + shift * 0.85])
    elif thing.shape == "cone":
        points = np.concatenate([_RING * thing.radius_m, shift[None]])
    elif thing.shape == "cylinder":
        points = np.concatenate([_RING * thing.radius_m, _RING * thing.radius_m + shift])
    else:
        turn = thing.yaw_rad + np.pi / 4 + np.arange(4) * np.pi / 2
        square = np.stack([np.cos(turn), np.sin(turn)], 1) * thing.radius_m * np.sqrt(2)
        points = np.concatenate([square, square + shift])
    return np.asarray(cv2.convexHull((points + foot).astype(np.float32))[:, 0], np.float64)


def _fill_floor(canvas: Image, camera: Camera, outline_m: Array) -> None:
    """Fill an outline on the floor, seen by the camera, in a quarter-size canvas."""
    pixels, depth = camera.project(np.column_stack([outline_m, np.zeros(len(outline_m))]))
    if depth.min() > 0.1:
        cv2.fillConvexPoly(canvas, np.round(pixels * (16 / _SHADE_SCALE) - 8).astype(np.int32), 255, cv2.LINE_AA, 4)
