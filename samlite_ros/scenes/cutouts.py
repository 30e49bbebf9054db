"""Semi-real sequences: pieces of photographs, moved over photographs by known motions, with exact truth.

What cameras do to real things, one at a time: motion blur, flicker, exposure, gloss, bending, no colour, camera motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.pixels.decode import decode_compressed_image
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.types import Frame

PHOTOGRAPHS = Path(__file__).parent / "photographs"
"""Their README.md tells origin and licence."""
START_NS = 1_000_000_000
SENSOR_NOISE = 2.5
"""Standard deviation [levels of 255]."""
MARGIN_PX = 160
"""The ground is continued by its mirror image as far as this, for a camera that moves."""
EXPOSURE_MOMENTS = (-0.3, -0.15, 0.0, 0.15, 0.3)
"""Of a blurred image, in frames."""
TILT = 0.2
"""Change of scale between the middle and the border of a piece that tilts."""
EDGE_BLUR_PX = 0.7
LEAST_ALPHA = 0.5

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Cutouts:
    """What one sequence is made of.

    Args:
        name: Its name in tables.
        ground: Photograph behind everything.
        camera: It pans, zooms and rolls to and fro by so much of its usual motion.
        speed_px: Amplitude of the things' motion [px].
        blur: Motion blur of 0.6 of a frame's time.
        flicker: Standard deviation of the exposure, relative, from frame to frame.
        exposure: The exposure falls to this share and comes back.
        shade: Share of the light that does not reach the right half of the image.
        gloss: Brightness of a streak that slides over the things [levels of 255].
        bending_px: How far the things bend, in pieces of 120 px.
        gray: No colour.
    """

    name: str
    ground: str = "coffee"
    camera: float = 0.0
    speed_px: float = 40.0
    blur: bool = False
    flicker: float = 0.0
    exposure: float = 1.0
    shade: float = 0.0
    gloss: float = 0.0
    bending_px: float = 0.0
    gray: bool = False


SEQUENCES = (
    Cutouts("plain"),
    Cutouts("camera", "gravel", camera=1.0),
    Cutouts("alike", "chelsea"),
    Cutouts("blur", speed_px=100.0, blur=True),
    Cutouts("flicker", "gravel", flicker=0.1),
    Cutouts("exposure", exposure=0.4),
    Cutouts("shade", "gravel", shade=0.6),
    Cutouts("gloss", "gravel", gloss=90.0),
    Cutouts("bending", bending_px=9.0),
    Cutouts("gray", "gravel", gray=True),
    Cutouts("all", "chelsea", 0.7, 60.0, True, flicker=0.05, exposure=0.7, shade=0.4, gloss=60.0, bending_px=6.0),
)


@dataclass(frozen=True, eq=False)
class _Piece:
    """One thing: pixels and opacity in a frame of its own, and its motion.

    Args:
        pixels: float32 (h, w, 3), RGB.
        alpha: float32 (h, w): 1 = it is there.
        phases: Of its motion, radians (10,).
        start_xy: Where it moves about [px].
        scale: Its size in the image, over that in the photograph.
    """

    pixels: NDArray[np.float32]
    alpha: NDArray[np.float32]
    phases: NDArray[np.float64]
    start_xy: tuple[float, float]
    scale: float

    def to_image(self, time_s: float, speed_px: float) -> NDArray[np.float64]:
        """(3, 3): from the piece's frame to the image."""
        p = self.phases
        x, y = self.start_xy
        x += speed_px * (np.sin(1.6 * time_s + p[0]) + 0.4 * np.sin(3.7 * time_s + p[1]))
        y += 0.6 * speed_px * (np.sin(1.3 * time_s + p[2]) + 0.4 * np.sin(3.1 * time_s + p[3]))
        scale = self.scale * np.exp(0.12 * np.sin(1.1 * time_s + p[4]))
        tilt = TILT * np.sin(1.5 * time_s + p[8]), TILT * np.sin(1.2 * time_s + p[9])
        return _similarity(self.alpha.shape, (x, y), scale, 8 * np.sin(1.2 * time_s + p[5]), tilt)


@dataclass(frozen=True)
class CutoutSequence:
    """One sequence; iterate over it as often as you like.

    Args:
        cutouts: What it is made of.
        seed: The same seed gives the same frames; which of SEQUENCES it is does not change the things' shapes.
        frames: Their number.
        rate_hz: Their rate [Hz].
        size: (H, W) [px].
    """

    cutouts: Cutouts
    seed: int = 0
    frames: int = 96
    rate_hz: float = 24.0
    size: tuple[int, int] = (300, 400)

    @property
    def name(self) -> str:
        """Of what it is made of."""
        return self.cutouts.name

    def read(self, most: int | None = None) -> list[TruthFrame]:
        """All frames, or the first."""
        return [frame for _, frame in zip(range(self.frames if most is None else most), self, strict=False)]

    def __iter__(self) -> Iterator[TruthFrame]:
        pieces = self._pieces()
        ground = _mirrored(photograph(self.cutouts.ground))
        for index in range(self.frames):
            yield self._frame(index, pieces, ground)

    def _pieces(self) -> list[_Piece]:
        """Three things, the largest first: it is behind."""
        rng = np.random.default_rng([71, self.seed])
        height, width = self.size
        other = "coffee" if self.cutouts.ground != "coffee" else "gravel"
        cuts = (
            ("chelsea", (90, 10, 260, 270), 0.5, 0.3),
            ("rocket", (110, 150, 200, 240), 0.4, 0.5),
            (other, (170, 60, 280, 260), 0.32, 0.7),
        )
        out = []
        for name, box, share, along in cuts:
            start = width * (along + rng.uniform(-0.1, 0.1)), height * rng.uniform(0.3, 0.7)
            out.append(_cut(rng, name, box, share * height, start))
        return out

    def _frame(self, index: int, pieces: list[_Piece], ground: NDArray[np.float32]) -> TruthFrame:
        made, time_s = self.cutouts, index / self.rate_hz
        moments = [time_s + part / self.rate_hz for part in (EXPOSURE_MOMENTS if made.blur else (0.0,))]
        renders = [self._rendered(t, pieces, ground) for t in moments]
        image = np.mean([pixels for pixels, _ in renders], 0)
        rng = np.random.default_rng([72, self.seed, index])
        fall = np.sin(np.pi * min(time_s / 3.0, 1.0)) ** 2
        image = (
            image * _light(self.size, made.shade) * (made.exposure**fall) * (1 + made.flicker * rng.standard_normal())
        )
        image = np.clip(image + rng.normal(0, SENSOR_NOISE, image.shape), 0, 255).astype(np.uint8)
        if made.gray:
            image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
        alphas = renders[len(renders) // 2][1]  # of the middle of the exposure
        return _truth(image, alphas, START_NS + round(index * 1e9 / self.rate_hz))

    def _rendered(
        self, time_s: float, pieces: list[_Piece], ground: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """float32 (H, W, 3) at one moment, and each thing's opacity (H, W), whether or not another hides it."""
        made, (height, width) = self.cutouts, self.size
        view = _camera(ground.shape, self.size, time_s, made.camera)
        image = np.asarray(cv2.warpPerspective(ground, view, (width, height)), np.float32)
        alphas = []
        for piece in pieces:
            there_x, there_y = _places(piece.to_image(time_s, made.speed_px), self.size)
            if made.bending_px:
                there_x = there_x - made.bending_px * np.sin(2 * np.pi * there_y / 120 + 2.5 * time_s + piece.phases[6])
            alpha = _sampled(piece.alpha, there_x, there_y)
            pixels = _sampled(piece.pixels, there_x, there_y)
            if made.gloss:
                pixels = pixels + _streak(there_x, there_y, piece, time_s)[..., None] * made.gloss
            image = image * (1 - alpha[..., None]) + pixels * alpha[..., None]
            alphas.append(alpha)
        return np.asarray(image, np.float32), alphas


@cache
def photograph(name: str) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), RGB: one of PHOTOGRAPHS."""
    return decode_compressed_image((PHOTOGRAPHS / f"{name}.jpg").read_bytes(), "jpeg")


def _mirrored(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    m = MARGIN_PX
    return np.asarray(cv2.copyMakeBorder(image, m, m, m, m, cv2.BORDER_REFLECT), np.float32)


def _cut(rng: np.random.Generator, name: str, box: Box, height_px: float, start_xy: tuple[float, float]) -> _Piece:
    """A piece of a photograph with a smooth random outline.

    Args:
        rng: Of outline and motion.
        name: Of the photograph.
        box: (x, y, w, h) in the photograph.
        height_px: Of the piece in the image.
        start_xy: Where it moves about [px].
    """
    x, y, w, h = box
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    radius = 0.82 + sum(rng.normal(0, 0.09 / k) * np.cos(k * angle + rng.uniform(0, 6.28)) for k in range(2, 6))
    radius = np.clip(radius + 0.06 * np.sin(rng.integers(9, 14) * angle) * rng.uniform(0.5, 1), 0.3, 0.98)
    outline = np.stack([w / 2 * (1 + radius * np.cos(angle)), h / 2 * (1 + radius * np.sin(angle))], 1)
    alpha = np.zeros((h, w), np.float32)
    cv2.fillPoly(alpha, [np.round(outline).astype(np.int32)], 1.0)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), EDGE_BLUR_PX), np.float32)
    pixels = photograph(name)[y : y + h, x : x + w].astype(np.float32)
    return _Piece(pixels, alpha, rng.uniform(0, 2 * np.pi, 10), start_xy, height_px / h)


def _similarity(
    shape: tuple[int, ...],
    center_xy: tuple[float, float],
    scale: float,
    angle_deg: float,
    tilt: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float64]:
    """(3, 3): tilts, turns and scales a frame of this shape about its middle, which comes to lie on a centre."""
    c, s = scale * np.cos(np.radians(angle_deg)), scale * np.sin(np.radians(angle_deg))
    turn = np.array([[c, -s, center_xy[0]], [s, c, center_xy[1]], [0, 0, 1]])
    tilted = np.array([[1, 0, 0], [0, 1, 0], [2 * tilt[0] / shape[1], 2 * tilt[1] / shape[0], 1]])
    return np.asarray(turn @ tilted @ np.array([[1, 0, -shape[1] / 2], [0, 1, -shape[0] / 2], [0, 0, 1]]))


def _camera(shape: tuple[int, ...], size: tuple[int, int], time_s: float, amount: float) -> NDArray[np.float64]:
    """(3, 3): from the mirrored ground to the image."""
    x = size[1] / 2 + amount * (45 * np.sin(1.1 * time_s) + 3 * np.sin(17 * time_s))
    y = size[0] / 2 + amount * (25 * np.sin(0.9 * time_s + 1) + 3 * np.sin(19 * time_s))
    scale = np.exp(amount * 0.12 * np.sin(0.8 * time_s))
    return _similarity(shape, (x, y), float(scale), amount * 5 * np.sin(0.7 * time_s))


def _places(to_image: NDArray[np.float64], size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """float32 (H, W) x and y in a piece's frame, for each pixel of the image."""
    inverse = np.linalg.inv(to_image)
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    there = [row[0] * x + row[1] * y + row[2] for row in inverse]
    return np.asarray(there[0] / there[2], np.float32), np.asarray(there[1] / there[2], np.float32)


def _sampled(values: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    border = cv2.BORDER_CONSTANT if values.ndim == 2 else cv2.BORDER_REPLICATE
    at_x, at_y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    return np.asarray(cv2.remap(values, at_x, at_y, cv2.INTER_LINEAR, borderMode=border), np.float32)


def _streak(x: NDArray[np.float32], y: NDArray[np.float32], piece: _Piece, time_s: float) -> NDArray[np.float32]:
    """float32 (H, W), 0 to 1: a bright line that slides over the thing, as it turns under a lamp."""
    length = piece.alpha.shape[1]
    at = length * (0.5 + 0.6 * np.sin(1.9 * time_s + piece.phases[7]))
    return np.asarray(np.exp(-(((x + 0.4 * y - at) / (0.12 * length)) ** 2)), np.float32)


def _light(size: tuple[int, int], shade: float) -> NDArray[np.float32]:
    """float32 (1, W, 1): share of the light that reaches each column."""
    column = np.arange(size[1], dtype=np.float32) - size[1] / 2
    return np.asarray(1 - shade / (1 + np.exp(-column / 6)), np.float32)[None, :, None]


def _truth(image: NDArray[np.uint8], alphas: list[NDArray[np.float32]], stamp_ns: int) -> TruthFrame:
    """Of several things in one place the last is seen; whole is what nothing hides and the border does not cut."""
    ids = np.zeros(image.shape[:2], np.uint8)
    for number, alpha in enumerate(alphas, 1):
        ids[alpha > LEAST_ALPHA] = number
    whole = set()
    for number, alpha in enumerate(alphas, 1):
        inside = alpha > LEAST_ALPHA
        edge = inside[0].any() or inside[-1].any() or inside[:, 0].any() or inside[:, -1].any()
        if inside.any() and not edge and (ids[inside] == number).all():
            whole.add(number)
    return TruthFrame(Frame(image, stamp_ns), ids, frozenset(whole))
