"""A small library of grey textures and noise, drawn once from fixed seeds and kept."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_PX = 512
"""Edge of one tile [px]."""
TEXTURE_COUNT = 12
TILES = 4
_NOISE_LEVEL = 32.0
"""Standard deviation of `sensor_noise`."""


@lru_cache(maxsize=TEXTURE_COUNT)
def surface_texture(index: int) -> NDArray[np.uint8]:
    """uint8 (2048, 2048): a grey texture of 4 x 4 equal tiles, by index modulo TEXTURE_COUNT."""
    rng = np.random.default_rng([7, index % TEXTURE_COUNT])
    makers = (_planks, _tiles, _checks, _speckle, _cloth, _plain)
    pattern = makers[index % len(makers)](rng)
    coarse = noise(rng, int(rng.integers(4, 16)), SIZE_PX) * rng.uniform(0.05, 0.15)
    fine = noise(rng, int(rng.integers(64, 256)), SIZE_PX) * rng.uniform(0.03, 0.1)
    grey = 0.5 + (pattern - pattern.mean()) + coarse + fine
    return np.tile((np.clip(grey, 0, 1) * 255).astype(np.uint8), (TILES, TILES))


def noise(rng: np.random.Generator, cells: int, size_px: int) -> NDArray[np.float32]:
    """float32 (size_px, size_px): smooth noise of about unit variance."""
    grid = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(grid, (size_px, size_px), interpolation=cv2.INTER_CUBIC))


def _planks(rng: np.random.Generator) -> NDArray[np.float32]:
    count = int(rng.integers(4, 12))
    row = np.arange(SIZE_PX) * count // SIZE_PX
    tone = rng.uniform(-0.25, 0.25, count).astype(np.float32)[row][:, None]
    veins = cv2.resize(rng.standard_normal((SIZE_PX, 6)).astype(np.float32), (SIZE_PX, SIZE_PX)) * 0.08
    gap = (np.arange(SIZE_PX) * count % SIZE_PX < 3 * count)[:, None] * np.float32(-0.3)
    return np.asarray(tone + veins + gap, np.float32)


def _tiles(rng: np.random.Generator) -> NDArray[np.float32]:
    count = int(rng.integers(3, 10))
    cell = np.arange(SIZE_PX) * count // SIZE_PX
    tone = rng.uniform(-0.12, 0.12, (count, count)).astype(np.float32)[cell[:, None], cell[None]]
    gap = np.arange(SIZE_PX) * count % SIZE_PX < 5 * count
    return np.asarray(np.where(gap[:, None] | gap[None], np.float32(-0.35), tone), np.float32)


def _checks(rng: np.random.Generator) -> NDArray[np.float32]:
    cell = np.arange(SIZE_PX) * (2 * int(rng.integers(2, 7))) // SIZE_PX
    return ((cell[:, None] + cell[None]) % 2).astype(np.float32) * np.float32(rng.uniform(0.2, 0.6))


def _speckle(rng: np.random.Generator) -> NDArray[np.float32]:
    spots = rng.random((SIZE_PX, SIZE_PX), np.float32) > 0.985
    return np.asarray(cv2.GaussianBlur(spots.astype(np.float32), (0, 0), 2.0) * 4, np.float32)


def _cloth(rng: np.random.Generator) -> NDArray[np.float32]:
    wave = np.sin(np.arange(SIZE_PX, dtype=np.float32) * (2 * np.pi * int(rng.integers(24, 64)) / SIZE_PX))
    return np.asarray(wave[:, None] * wave[None] * 0.2, np.float32)


def _plain(rng: np.random.Generator) -> NDArray[np.float32]:
    return np.zeros((SIZE_PX, SIZE_PX), np.float32)


@lru_cache(maxsize=8)
def sensor_noise(height: int, width: int) -> NDArray[np.uint8]:
    """uint8 (height + 61, width + 67, 3): Gaussian noise of mean 128 and standard deviation 32; take a shifted part."""
    rng = np.random.default_rng(11)
    values = rng.standard_normal((height + 61, width + 67, 3), np.float32)
    return np.asarray(np.clip(values * _NOISE_LEVEL + 128, 0, 255), np.uint8)


def add_noise(image: NDArray[np.uint8], gain: float, sigma: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Expose an image and add sensor noise.

    Args:
        image: uint8 (H, W, 3).
        gain: Factor on the image.
        sigma: Standard deviation of the noise, of 255.
        rng: Chooses which part of the stored noise is used.
    """
    h, w = image.shape[:2]
    dy, dx = int(rng.integers(61)), int(rng.integers(67))
    part = sensor_noise(h, w)[dy : dy + h, dx : dx + w]
    weight = sigma / _NOISE_LEVEL
    return np.asarray(cv2.addWeighted(image, gain, part, weight, -128 * weight), np.uint8)


@lru_cache(maxsize=16)
def grain(index: int) -> NDArray[np.float32]:
    """float32 (32, 32): an object's surface texture, about unit variance, by index modulo 16."""
    rng = np.random.default_rng([13, index % 16])
    return noise(rng, int(rng.integers(5, 20)), 32)


@lru_cache(maxsize=64)
def illumination(index: int) -> NDArray[np.float32]:
    """float32 (120, 160): uneven light over the image around 1: a gradient and soft blotches, by index modulo 64."""
    rng = np.random.default_rng([17, index % 64])
    gx, gy = rng.uniform(-0.25, 0.25, 2)
    blotches = noise(rng, int(rng.integers(3, 9)), 160)[:120] * rng.uniform(0.01, 0.1)
    ramp = gx * np.linspace(-1, 1, 160)[None] + gy * np.linspace(-1, 1, 120)[:, None]
    return np.asarray(np.clip(1 + ramp + blotches, 0.4, 1.4), np.float32)
