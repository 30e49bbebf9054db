"""Clips that are made: things of real sequences over others, cut-outs of photographs with known motions and bends,
rigid and camouflaged things, gloss, changes of light, blur; and the package's own rendered scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.frame_images import NO_MAP
from samlite_ros.training.refiner.clips import Clip

SIZE = (544, 306)
"""Width and height of clips made of photographs [px]."""
FRAMES = 36
PHOTOS = {
    "skimage": ("astronaut.png", "retina.jpg", "ihc.png", "hubble_deep_field.jpg", "brick.png", "grass.png",
                "camera.png"),
    "sklearn": ("china.jpg", "flower.jpg"),
}  # fmt: skip
"""Photographs that Python packages ship; the model card tells their licences. Those that the benchmark's semi-real
sequences are made of are not among them."""
Rng = np.random.Generator
Array = NDArray[Any]
"""What cv2 gives: it does not tell which type."""


@dataclass(frozen=True, eq=False)
class Part:
    """A photograph, or the shape of a thing.

    Args:
        pixels: uint8 (H, W, 3) RGB, or bool (h, w).
        source: The real sequence that it is of; "" = none.
    """

    pixels: Array
    source: str = ""


def read_photos() -> list[Part]:
    """Photographs of scikit-image and scikit-learn; those not installed are left out."""
    folders: dict[str, Path] = {}
    try:
        import skimage

        folders["skimage"] = Path(skimage.__file__).parent / "data"
    except ImportError:
        pass
    try:
        import sklearn

        folders["sklearn"] = Path(sklearn.__file__).parent / "datasets" / "images"
    except ImportError:
        pass
    out = []
    for package, folder in folders.items():
        for name in PHOTOS[package]:
            image = cv2.imread(str(folder / name), cv2.IMREAD_COLOR)
            if image is not None:
                out.append(Part(np.ascontiguousarray(image[..., ::-1])))
    return out


def frames_of(clips: Sequence[Clip]) -> list[Part]:
    """One frame of each real sequence, as photographs."""
    return [Part(clip.images[len(clip.images) // 2], clip.name) for clip in clips]


def shapes_of(clips: Sequence[Clip]) -> list[Part]:
    """Cropped masks of things, some per sequence."""
    out = []
    for clip in clips:
        for label in clip.labels[::12]:
            mask = label > 0
            x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
            if w > 40 and h > 40:
                out.append(Part(mask[y : y + h, x : x + w], clip.name))
    return out


def varied(rng: Rng, clip: Clip) -> Clip:
    """A real sequence as it might have been: backwards, at half the rate, in other light, without colours."""
    step = int(rng.choice([1, 1, 1, 2]))
    order = slice(None, None, -step if rng.random() < 0.5 else step)
    images, labels = clip.images[order], clip.labels[order]
    if rng.random() < 0.5:
        images = _relit(rng, images)
    return replace(clip, images=images, labels=labels)


def _relit(rng: Rng, images: Sequence[Array]) -> list[Array]:
    """Images in other light, at times without colours."""
    light = _light(rng, len(images), images[0].shape[:2])
    gray = rng.random() < 0.15
    return [_seen(rng, _toned(image.astype(np.float32), gray) * light[k]) for k, image in enumerate(images)]


def _toned(image: Array, gray: bool) -> Array:
    return np.repeat(image.mean(2, keepdims=True), 3, 2) if gray else image


def composite(rng: Rng, thing: Clip, scene: Clip) -> Clip:
    """A thing of one sequence, moving as it did, over the moving frames of another."""
    step = int(rng.choice([1, 1, 1, 2]))
    images, labels = thing.images[::step], thing.labels[::step]
    scenes = scene.images[::-1] if rng.random() < 0.5 else scene.images
    count = min(len(images), len(scenes), 48)
    first = int(rng.integers(0, len(images) - count + 1))
    h, w = labels[0].shape
    scale, turn, flip = rng.uniform(0.5, 1.1), rng.normal(0, 8), rng.random() < 0.5
    shift, drift = rng.uniform(-60, 60, 2), rng.normal(0, 0.8, 2)
    gain, tint = rng.uniform(0.7, 1.3), rng.uniform(0.85, 1.15, 3)
    light = _light(rng, count, (h, w))
    gray = rng.random() < 0.08
    out, masks = [], []
    for k in range(count):
        matrix: Array = np.asarray(cv2.getRotationMatrix2D((w / 2, h / 2), turn, scale))
        matrix[:, 2] += shift + drift * k
        image, label = images[first + k], labels[first + k]
        if flip:
            image, label = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(label[:, ::-1])
        alpha = cv2.warpAffine(cv2.GaussianBlur((label > 0).astype(np.float32), (0, 0), 0.7), matrix, (w, h))
        front = cv2.warpAffine(image, matrix, (w, h), borderMode=cv2.BORDER_REPLICATE).astype(np.float32) * gain * tint
        back = cv2.resize(scenes[k], (w, h)).astype(np.float32)
        mixed = front * alpha[..., None] + back * (1 - alpha[..., None])
        out.append(_seen(rng, _toned(mixed, gray) * light[k]))
        masks.append((alpha > 0.5).astype(np.uint8))
    return Clip("mixed", out, masks, sources=thing.sources | scene.sources)


def cut_out(rng: Rng, photos: Sequence[Part], shapes: Sequence[Part]) -> Clip:
    """Parts of photographs, cut out by the shapes of things or by blobs, moving over another photograph.

    One in three bends, one in three is camouflaged (of the same photograph as what is behind it).

    Args:
        rng: Chance.
        photos: What things and what is behind them are made of.
        shapes: Masks of things; may be empty.
    """
    behind = photos[int(rng.integers(len(photos)))]
    back, sources = behind.pixels, {behind.source}
    camera = _path(rng, FRAMES, shift=rng.uniform(0, 60), zoom=0.12, turn=4)
    base = float(np.exp(rng.uniform(0, 0.5))) * max(SIZE[0] / back.shape[1], SIZE[1] / back.shape[0])
    things = []
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        photo = behind if rng.random() < 0.3 else photos[int(rng.integers(len(photos)))]
        outline = shapes[int(rng.integers(len(shapes)))] if len(shapes) and rng.random() < 0.6 else None
        things.append(_thing(rng, photo.pixels, None if outline is None else outline.pixels))
        sources |= {photo.source, "" if outline is None else outline.source}
    light = _light(rng, FRAMES, SIZE[::-1])
    gray = rng.random() < 0.1
    blur = int(rng.choice([0, 0, 0, 3, 5]))
    out, masks = [], []
    for k in range(FRAMES):
        matrix = camera[k].copy()
        matrix[:2, :2] *= base
        matrix = _centered(matrix, back.shape)
        image: Array = cv2.warpAffine(back, matrix, SIZE, borderMode=cv2.BORDER_REFLECT).astype(np.float32)
        label = np.zeros(SIZE[::-1], np.uint8)
        for number, (texture, alpha, path, bends, gloss) in enumerate(things, 1):
            a, front = _drawn(texture, alpha, path[k], bends, k, gloss)
            image = front * a[..., None] + image * (1 - a[..., None])
            label[a > 0.5] = number
        if blur:
            image = cv2.filter2D(image, -1, _streak(rng, blur))
        out.append(_seen(rng, _toned(image, gray) * light[k]))
        masks.append(label)
    return Clip("photos", out, masks, sources=frozenset(sources - {""}))


def _thing(rng: Rng, photo: Array, shape: Array | None) -> tuple[Array, Array, list[Array], Array | None, float]:
    """Texture (h, w, 3), opacity (h, w), places over time, bends (T, 4, 4, 2) or none, and gloss of one cut-out."""
    height = int(rng.uniform(50, 170))
    if shape is not None:
        shape = shape[:, ::-1] if rng.random() < 0.5 else shape
        width = int(np.clip(height * shape.shape[1] / shape.shape[0], 20, 300))
        alpha = cv2.resize(shape.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    else:
        width = int(height * np.exp(rng.normal(0, 0.4)))
        alpha = _blob(rng, height, width)
    pad = 12
    alpha = cv2.copyMakeBorder(alpha, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    h, w = alpha.shape
    factor = max(w / photo.shape[1], h / photo.shape[0]) * float(np.exp(rng.uniform(0.05, 1.2)))
    large = cv2.resize(
        photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    )
    y, x = int(rng.integers(0, large.shape[0] - h + 1)), int(rng.integers(0, large.shape[1] - w + 1))
    texture = large[y : y + h, x : x + w].astype(np.float32) * rng.uniform(0.8, 1.2)
    path = _path(rng, FRAMES, shift=rng.uniform(10, 130), zoom=rng.choice([0.05, 0.25]), turn=rng.choice([3, 25]))
    start = np.array([rng.uniform(0.2, 0.8) * SIZE[0], rng.uniform(0.25, 0.75) * SIZE[1]])
    middle = np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1]])
    places = [
        np.array([[1, 0, start[0]], [0, 1, start[1]], [0, 0, 1]]) @ np.vstack([p, [0, 0, 1]]) @ middle for p in path
    ]
    bends = None
    if rng.random() < 0.4:
        ways = np.stack([_wave(rng, FRAMES, 1.0) for _ in range(32)], 1).reshape(FRAMES, 4, 4, 2)
        bends = (ways * rng.uniform(1, 0.12 * min(h, w))).astype(np.float32)
    gloss = float(rng.uniform(30, 110)) if rng.random() < 0.35 else 0.0
    return texture, alpha, places, bends, gloss


def _drawn(
    texture: Array,
    alpha: Array,
    place: Array,
    bends: Array | None,
    frame: int,
    gloss: float,
) -> tuple[Array, Array]:
    """Opacity and colours of a cut-out in one frame of size SIZE."""
    h, w = alpha.shape
    if bends is not None:
        field = cv2.resize(bends[frame] - bends[0], (w, h), interpolation=cv2.INTER_CUBIC)
        x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        at = np.dstack([x, y]) + field
        alpha = cv2.remap(alpha, at, NO_MAP, cv2.INTER_LINEAR)
        texture = cv2.remap(texture, at, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if gloss:  # a light that does not move with the thing
        x, y = np.meshgrid(np.linspace(-1, 1, w), np.linspace(-1, 1, h))
        middle = 1.2 * np.sin(frame / 14)
        shine = np.exp(-(((x - middle) * 2.5) ** 2 + ((y + 0.5 * middle) * 1.5) ** 2)).astype(np.float32)
        texture = texture + gloss * shine[..., None]
    matrix = place[:2]
    a = cv2.warpAffine(alpha, matrix, SIZE)
    return a, cv2.warpAffine(texture, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)


def _blob(rng: Rng, height: int, width: int) -> Array:
    """A random round shape, a few corners in it at times, float32 (height, width)."""
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    waves = [rng.normal(0, 0.22 / k) * np.cos(k * angles + rng.uniform(0, 6.3)) for k in range(1, 6)]
    radius = 1 + np.sum(waves, 0)
    if rng.random() < 0.3:
        corners = np.linspace(0, 60, int(rng.integers(3, 7)), endpoint=False).astype(int)
        angles, radius = angles[corners], radius[corners]
    radius = np.clip(radius, 0.3, None)
    x, y = radius * np.cos(angles), radius * np.sin(angles)
    x, y = (x - x.min()) / np.ptp(x) * (width - 1), (y - y.min()) / np.ptp(y) * (height - 1)
    drawn = np.zeros((height * 2, width * 2), np.uint8)
    cv2.fillPoly(drawn, [(np.stack([x, y], 1) * 2).astype(np.int32)], 255)
    return cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _wave(rng: Rng, count: int, size: float) -> Array:
    """A smooth path of one number."""
    t = np.arange(count)
    waves = [size / k * np.sin(2 * np.pi * t * k / rng.uniform(50, 110) + rng.uniform(0, 6.3)) for k in (1, 2, 3)]
    return np.asarray(np.sum(waves, 0))


def _path(rng: Rng, count: int, shift: float, zoom: float, turn: float) -> list[Array]:
    """Similarity transforms (2, 3) of a smooth motion."""
    x, y = _wave(rng, count, shift), _wave(rng, count, 0.6 * shift)
    x, y = x + rng.normal(0, 0.4, count), y + rng.normal(0, 0.4, count)
    scale, angle = np.exp(_wave(rng, count, zoom)), np.radians(_wave(rng, count, turn))
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    return [np.array([[c[k], -s[k], x[k]], [s[k], c[k], y[k]]]) for k in range(count)]


def _centered(matrix: Array, shape: tuple[int, ...]) -> Array:
    """A transform about the middle of a photograph to about the middle of the clip."""
    out = matrix.copy()
    out[:, 2] += np.array(SIZE) / 2 - matrix[:, :2] @ np.array([shape[1] / 2, shape[0] / 2])
    return out


def _light(rng: Rng, count: int, size: tuple[int, int]) -> list[Array]:
    """Brightness over time of images of size (h, w): mostly steady, now and then a change of exposure, flicker, or a
    part of the image in shade."""
    kind, over_time = rng.random(), np.ones(count)
    if kind > 0.8:
        over_time = np.exp(rng.normal(0, rng.uniform(0.03, 0.12), count))
    elif kind > 0.6:
        fall = np.log(rng.uniform(0.3, 0.8))
        over_time = np.exp(fall * np.sin(np.pi * np.arange(count) / rng.uniform(12, 60) + rng.uniform(0, 3)) ** 2)
    shade = np.ones((*size, 1))
    if rng.random() < 0.25:
        x, y = np.meshgrid(np.linspace(-1, 1, size[1]), np.linspace(-1, 1, size[0]))
        angle = rng.uniform(0, 2 * np.pi)
        depth = (x * np.cos(angle) + y * np.sin(angle) - rng.normal(0, 0.3)) * rng.uniform(4, 60)
        shade = 1 - rng.uniform(0.2, 0.7) / (1 + np.exp(-depth.clip(-30, 30)))[..., None]
    return [(shade * value).astype(np.float32) for value in over_time]


def _streak(rng: Rng, length: int) -> Array:
    """Kernel of a motion blur."""
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2,) * 2, float(rng.uniform(0, 180)), 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length)) + 1e-4
    return kernel / kernel.sum()


def _seen(rng: Rng, image: Array) -> Array:
    """With a camera's noise, as bytes."""
    noise = rng.standard_normal(image.shape[:2], np.float32) * np.float32(rng.uniform(0.5, 3))
    return np.clip(image + noise[..., None], 0, 255).astype(np.uint8)


def rendered(seed: int, index: int, frames: int = 40) -> Clip:
    """One of the package's own scenes; those held out for the benchmark are not among them."""
    from samlite_ros.scenes.hard_sequences import DEVELOPMENT, StreamSequence

    one = DEVELOPMENT[index % len(DEVELOPMENT)]
    truth = list(StreamSequence(one, seed, frames))
    return Clip("rendered", [t.frame.image for t in truth], [t.ids for t in truth], 30.0)
