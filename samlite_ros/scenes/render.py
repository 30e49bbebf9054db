"""Draw a world as a camera sees it, with its exact instance masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.scenes import textures
from samlite_ros.scenes.background import Background
from samlite_ros.scenes.camera import Camera
from samlite_ros.scenes.solids import View, fill, outline_area_px, outline_px, paint, view_of
from samlite_ros.scenes.world import Light, World, WorldOptions, random_camera, random_world

Image = NDArray[np.uint8]
Outline = NDArray[np.float64]

TRAINING_STREAM = 0x7261696E
"""Stream of seeds that training draws from; `render_scene(seed)` uses another one, so that no seed collides."""
_SCENE_STREAM = 1
_LEAST_VISIBLE = 0.3
_LEAST_AREA_PX = 60


@dataclass(frozen=True)
class ObjectTruth:
    """One object in one image.

    Args:
        track_id: Its identity; also its value in the scene's id map.
        shape, colour: Words of the vocabulary.
        box_xyxy: Bounds of its visible pixels [px]; exclusive at the right and below.
        area_px: Number of its visible pixels.
        depth_m: Depth of its centre along the optical axis [m].
        visible_fraction: Visible share of what is inside the image.
        image_fraction: Share of its whole outline that lies inside the image.
    """

    track_id: int
    shape: str
    colour: str
    box_xyxy: tuple[float, float, float, float]
    area_px: int
    depth_m: float
    visible_fraction: float
    image_fraction: float


@dataclass(frozen=True, eq=False)
class Scene:
    """One rendered image and the truth about it.

    Args:
        image: uint8 (H, W, 3), RGB.
        ids: uint8 (H, W): track_id of the object seen at each pixel, 0 = none.
        objects: Those with at least one visible pixel, far to near.
        camera: The camera that saw it.
        stamp_ns: Time of the image [ns].
    """

    image: Image
    ids: Image
    objects: tuple[ObjectTruth, ...]
    camera: Camera
    stamp_ns: int = 0

    def mask(self, track_id: int) -> NDArray[np.bool_]:
        """bool (H, W): the visible pixels of one object."""
        return self.ids == track_id


def render_scene(
    seed: int,
    size: tuple[int, int] = (480, 640),
    options: WorldOptions = WorldOptions(),  # noqa: B008 - frozen
    stream: int = _SCENE_STREAM,
) -> Scene:
    """Render one random scene of 0 to 8 objects.

    Args:
        seed: Any number >= 0; the same seed gives the same scene.
        size: (H, W) [px].
        options: What may be drawn.
        stream: Family of seeds; see TRAINING_STREAM.
    """
    rng = np.random.default_rng([stream, seed])
    camera = random_camera(rng, size)
    world = _without_hidden(random_world(rng, (camera,), options), camera)
    return Renderer(world).render(camera, rng)


def _without_hidden(world: World, camera: Camera) -> World:
    """Drop what is almost wholly hidden, out of the image or too small, so that every object can be seen."""
    while True:
        _, objects = draw_ids(_visible_views(world, camera, 0.0), camera.size)
        least_px = _LEAST_AREA_PX * (camera.size[1] / 640) ** 2
        kept = {
            o.track_id
            for o in objects
            if o.visible_fraction >= _LEAST_VISIBLE and o.image_fraction >= _LEAST_VISIBLE and o.area_px >= least_px
        }
        if len(kept) == len(world.things):
            return world
        world = replace(world, things=tuple(t for t in world.things if t.track_id in kept))


def _visible_views(world: World, camera: Camera, time_s: float) -> list[tuple[View, Outline]]:
    """Views and outlines of the things that touch the image, far to near."""
    h, w = camera.size
    views = [view for thing in world.things if (view := view_of(thing, camera, time_s)) is not None]
    views.sort(key=lambda view: -view.depth_m)
    pairs = [(view, outline_px(view)) for view in views]
    return [
        (view, outline)
        for view, outline in pairs
        if (outline.max(0) > 0).all() and outline[:, 0].min() < w and outline[:, 1].min() < h
    ]


def draw_ids(views: Sequence[tuple[View, Outline]], size: tuple[int, int]) -> tuple[Image, tuple[ObjectTruth, ...]]:
    """Draw the id map.

    Args:
        views: Views with their outlines, far to near.
        size: (H, W) [px].

    Returns:
        uint8 (H, W) id map and the truth of every object with a visible pixel.
    """
    ids = np.zeros(size, np.uint8)
    inside = []
    for view, outline in views:
        alpha, x0, y0 = _coverage(outline, size)
        window = alpha >= 128
        ids[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]][window] = view.thing.track_id
        inside.append(int(np.count_nonzero(window)))
    truths = (_truth(view, outline, area, ids) for (view, outline), area in zip(views, inside, strict=True))
    return ids, tuple(truth for truth in truths if truth is not None)


def _window(outline: Outline, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of an outline's pixels inside the image."""
    (left, top), (right, bottom) = outline.min(0), outline.max(0)
    h, w = size
    return (
        max(int(left) - 1, 0),
        max(int(top) - 1, 0),
        min(int(right) + 2, w),
        min(int(bottom) + 2, h),
    )


def _coverage(outline: Outline, size: tuple[int, int]) -> tuple[Image, int, int]:
    """uint8 (h, w): how much of each pixel an outline covers, 255 = all, over its window; x0, y0 of the window."""
    x0, y0, x1, y1 = _window(outline, size)
    alpha = np.zeros((max(y1 - y0, 0), max(x1 - x0, 0)), np.uint8)
    if alpha.size:
        fill(alpha, outline, (x0, y0), 255, smooth=True)
    return alpha, x0, y0


def _truth(view: View, outline: Outline, inside_px: int, ids: Image) -> ObjectTruth | None:
    x0, y0, x1, y1 = _window(outline, ids.shape[:2])
    seen = ids[y0:y1, x0:x1] == view.thing.track_id
    area = int(np.count_nonzero(seen))
    if not area:
        return None
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    box = (x0 + columns[0], y0 + rows[0], x0 + columns[-1] + 1, y0 + rows[-1] + 1)
    return ObjectTruth(
        track_id=view.thing.track_id,
        shape=view.thing.shape,
        colour=view.thing.colour,
        box_xyxy=tuple(float(x) for x in box),  # type: ignore[arg-type]
        area_px=area,
        depth_m=view.depth_m,
        visible_fraction=area / inside_px,
        image_fraction=min(inside_px / outline_area_px(outline), 1.0),
    )


class Renderer:
    """Draws one world from any camera at any time; keeps the background while the camera stands still.

    Args:
        world: The world.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._background = Background(world)

    def render(self, camera: Camera, rng: np.random.Generator, time_s: float = 0.0) -> Scene:
        """Render one image.

        Args:
            camera: Where it is seen from.
            rng: Draws the sensor's noise and flicker.
            time_s: Time in the world [s].
        """
        views = _visible_views(self.world, camera, time_s)
        things = [view.thing for view, _ in views]
        image = self._background.draw(camera, things, time_s)
        for view, outline in views:
            _blend(image, view, outline, self.world.light)
        ids, objects = draw_ids(views, camera.size)
        return Scene(self._expose(image, rng), ids, objects, camera, round(time_s * 1e9))

    def _expose(self, image: Image, rng: np.random.Generator) -> Image:
        sensor = self.world.sensor
        sigma = sensor.blur_px * image.shape[1] / 640
        if sigma > 0.3:
            image = cv2.GaussianBlur(image, (0, 0), sigma)  # type: ignore[assignment]
        gain = sensor.gain * (1 + sensor.flicker * float(rng.standard_normal()))
        return textures.add_noise(image, gain, sensor.noise, rng)


def _blend(image: Image, view: View, outline: Outline, light: Light) -> None:
    """Paint one thing over the image."""
    alpha, x0, y0 = _coverage(outline, image.shape[:2])
    h, w = alpha.shape
    if not alpha.size:
        return
    surface = paint(view, light, x0, y0, w, h)
    if view.thing.grain:
        surface *= _grain(view, outline, x0, y0, w, h)[..., None]
    part = image[y0 : y0 + h, x0 : x0 + w]
    colour = np.clip(surface, 0, 255).astype(np.uint8)
    solid = cv2.merge([alpha] * 3)
    under = cv2.multiply(part, 255 - solid, scale=1 / 255)
    part[:] = cv2.add(under, cv2.multiply(colour, solid, scale=1 / 255))


def _grain(view: View, outline: Outline, x0: int, y0: int, w: int, h: int) -> NDArray[np.float32]:
    """float32 (h, w): an object's surface texture around 1, fixed to the object."""
    (left, top), (right, bottom) = outline.min(0), outline.max(0)
    sx, sy = 31 / max(right - left, 1), 31 / max(bottom - top, 1)
    to_texture = np.array([[sx, 0, (x0 - left) * sx], [0, sy, (y0 - top) * sy]])
    tile = textures.grain(view.thing.grain_index)
    warped = cv2.warpAffine(
        tile, to_texture, (w, h), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(1 + view.thing.grain * warped, np.float32)
