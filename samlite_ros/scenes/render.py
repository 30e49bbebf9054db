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
        return np.asarray(self.ids == track_id)


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
        _, objects = draw_ids(silhouettes(world, camera, 0.0), camera.size)
        least_px = _LEAST_AREA_PX * (camera.size[1] / 640) ** 2
        kept = {
            o.track_id
            for o in objects
            if o.visible_fraction >= _LEAST_VISIBLE and o.image_fraction >= _LEAST_VISIBLE and o.area_px >= least_px
        }
        if len(kept) == len(world.things):
            return world
        world = replace(world, things=tuple(t for t in world.things if t.track_id in kept))


@dataclass(frozen=True, eq=False)
class Silhouette:
    """What one thing covers of an image.

    Args:
        view: The thing as the camera sees it.
        outline: float64 (N, 2): its convex outline [px].
        x0, y0: Corner of its window in the image [px].
        coverage: uint8 (h, w): how much of each pixel of the window it covers, 255 = all.
    """

    view: View
    outline: Outline
    x0: int
    y0: int
    coverage: Image

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of the window in the image."""
        h, w = self.coverage.shape
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)


def silhouettes(world: World, camera: Camera, time_s: float) -> list[Silhouette]:
    """The things that touch the image, far to near."""
    views = [view for thing in world.things if (view := view_of(thing, camera, time_s)) is not None]
    views.sort(key=lambda view: -view.depth_m)
    drawn = (silhouette(view, camera.size) for view in views)
    return [one for one in drawn if one is not None]


def silhouette(view: View, size: tuple[int, int]) -> Silhouette | None:
    """What a thing covers of an image of this size (H, W); None where it lies outside."""
    outline = outline_px(view)
    (left, top), (right, bottom) = outline.min(0), outline.max(0)
    h, w = size
    if right <= 0 or bottom <= 0 or left >= w or top >= h:
        return None
    x0, y0 = max(int(left) - 1, 0), max(int(top) - 1, 0)
    coverage = np.zeros((min(int(bottom) + 2, h) - y0, min(int(right) + 2, w) - x0), np.uint8)
    fill(coverage, outline, (x0, y0), 255, smooth=True)
    return Silhouette(view, outline, x0, y0, coverage)


def draw_ids(drawn: Sequence[Silhouette], size: tuple[int, int]) -> tuple[Image, tuple[ObjectTruth, ...]]:
    """Draw the id map.

    Args:
        drawn: Silhouettes, far to near.
        size: (H, W) [px].

    Returns:
        uint8 (H, W) id map and the truth of every object with a visible pixel.
    """
    ids = np.zeros(size, np.uint8)
    inside = []
    for one in drawn:
        covered = one.coverage >= 128
        ids[one.window][covered] = one.view.thing.track_id
        inside.append(int(np.count_nonzero(covered)))
    truths = (_truth(one, area, ids) for one, area in zip(drawn, inside, strict=True))
    return ids, tuple(truth for truth in truths if truth is not None)


def _truth(drawn: Silhouette, inside_px: int, ids: Image) -> ObjectTruth | None:
    thing = drawn.view.thing
    seen = ids[drawn.window] == thing.track_id
    area = int(np.count_nonzero(seen))
    if not area:
        return None
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    box = (columns[0] + drawn.x0, rows[0] + drawn.y0, columns[-1] + 1 + drawn.x0, rows[-1] + 1 + drawn.y0)
    return ObjectTruth(
        track_id=thing.track_id,
        shape=thing.shape,
        colour=thing.colour,
        box_xyxy=tuple(float(x) for x in box),  # type: ignore[arg-type]
        area_px=area,
        depth_m=drawn.view.depth_m,
        visible_fraction=area / inside_px,
        image_fraction=min(inside_px / outline_area_px(drawn.outline), 1.0),
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
        drawn = silhouettes(self.world, camera, time_s)
        image = self._background.draw(camera, [one.view.thing for one in drawn], time_s)
        for one in drawn:
            _blend(image, one, self.world.light)
        ids, objects = draw_ids(drawn, camera.size)
        return Scene(self._expose(image, rng), ids, objects, camera, round(time_s * 1e9))

    def _expose(self, image: Image, rng: np.random.Generator) -> Image:
        sensor = self.world.sensor
        sigma = sensor.blur_px * image.shape[1] / 640
        if sigma > 0.3:
            image = cv2.GaussianBlur(image, (0, 0), sigma)  # type: ignore[assignment]
        gain = sensor.gain * (1 + sensor.flicker * float(rng.standard_normal()))
        return textures.add_noise(image, gain, sensor.noise, rng)


def _blend(image: Image, drawn: Silhouette, light: Light) -> None:
    """Paint one thing over the image."""
    h, w = drawn.coverage.shape
    surface = paint(drawn.view, light, drawn.x0, drawn.y0, w, h)
    if drawn.view.thing.grain:
        surface *= _grain(drawn)[..., None]
    colour = np.clip(surface, 0, 255).astype(np.uint8)
    solid = cv2.merge([drawn.coverage] * 3)
    part = image[drawn.window]
    under = cv2.multiply(part, 255 - solid, scale=1 / 255)
    part[:] = cv2.add(under, cv2.multiply(colour, solid, scale=1 / 255))


def _grain(drawn: Silhouette) -> NDArray[np.float32]:
    """float32 (h, w): an object's surface texture around 1, fixed to the object."""
    thing = drawn.view.thing
    (left, top), (right, bottom) = drawn.outline.min(0), drawn.outline.max(0)
    sx, sy = 31 / max(right - left, 1), 31 / max(bottom - top, 1)
    to_texture = np.array([[sx, 0, (drawn.x0 - left) * sx], [0, sy, (drawn.y0 - top) * sy]])
    tile = textures.grain(thing.grain_index)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = drawn.coverage.shape[::-1]
    warped = cv2.warpAffine(tile, to_texture, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(1 + thing.grain * warped, np.float32)
