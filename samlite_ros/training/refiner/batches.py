"""Crops as they are shown to the network: cut from their tiles, turned, bent, recoloured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.planes import PLANES
from samlite_ros.training.refiner.crops import SCALES, SHAPES, TILE, Crop

N = SHAPES.cells
DISTANCE_ROWS, UNLIKE_ROWS = [3, 4], [6, 7, 8, 9]
ODDS_ROW, AGE_ROWS, STEADY_ROWS, ERROR_ROW = 5, [10, 11], [10, 11, 12], 13
PARTS, SHAPE_PART = ([0, 1, 2, 5], [6, 7, 8, 9], [3, 4, 13]), 2
"""Planes that are stored, and taken, together."""
ZERO = 128
FACTORS = np.asarray(1 / SCALES, np.float32)
NOISE = np.random.default_rng(0).standard_normal(1 << 18).astype(np.float32)
Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class CropTable:
    """Many crops stacked, laid out so that they are quick to draw from.

    Args:
        planes: uint8 (K, PARTS, TILE, TILE, 4): ZERO = 0, in the order of PARTS.
        steady: float32 (K, 3): the planes that are the same all over: ages and surety.
        truth: uint8 (K, TILE, TILE, 2): share of the thing, and 255 inside the image.
        gap: (K,): frames since the keyframe.
        clip, sources: (K,): see `crops.Crop`.
    """

    planes: NDArray[np.uint8]
    steady: NDArray[np.float32]
    truth: NDArray[np.uint8]
    gap: NDArray[np.int64]
    clip: NDArray[np.str_]
    sources: NDArray[np.str_]


def table_of(crops: Sequence[Crop]) -> CropTable:
    """Stack crops."""
    laid = np.full((len(crops), len(PARTS), TILE, TILE, 4), ZERO, np.uint8)
    truth = np.empty((len(crops), TILE, TILE, 2), np.uint8)
    steady = np.empty((len(crops), len(STEADY_ROWS)), np.float32)
    for k, crop in enumerate(crops):
        for part, rows in enumerate(PARTS):
            laid[k, part, :, :, : len(rows)] = (crop.planes[rows].view(np.uint8) ^ ZERO).transpose(1, 2, 0)
        truth[k, ..., 0], truth[k, ..., 1] = crop.truth, crop.valid
        steady[k] = crop.planes[STEADY_ROWS, 0, 0] * FACTORS[STEADY_ROWS, 0, 0]
    gap = np.array([c.gap for c in crops])
    return CropTable(laid, steady, truth, gap, np.array([c.clip for c in crops]), np.array([c.sources for c in crops]))


def _grid(rng: Rng | None) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Places in the tile of a window's cells, and how much larger a cell is than one of the tile."""
    c = np.arange(N, dtype=np.float32) - (N - 1) / 2
    if rng is None:
        x, y = np.meshgrid(c, c)
        return x + (TILE - 1) / 2, y + (TILE - 1) / 2, 1.0
    flip = -1.0 if rng.random() < 0.5 else 1.0
    factor, turn = float(np.exp(rng.normal(0, 0.1))), rng.normal(0, 0.15)
    shift = rng.uniform(-6, 6, 2) + (TILE - 1) / 2
    x, y = np.meshgrid(c * flip, c)
    co, si = np.cos(turn) * factor, np.sin(turn) * factor
    return (co * x - si * y + shift[0]).astype(np.float32), (si * x + co * y + shift[1]).astype(np.float32), factor


def _bent(rng: Rng, x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    size = int(rng.choice([2, 3, 5, 7]))
    amplitude = rng.uniform(0, 4) * (0.6 if size > 3 else 1)
    field = cv2.resize(
        rng.normal(0, amplitude, (size, size, 2)).astype(np.float32), (N, N), interpolation=cv2.INTER_CUBIC
    )
    return x + field[..., 0], y + field[..., 1]


def _take(planes: NDArray[np.uint8], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Planes (TILE, TILE, C), C at most 4, at the cells' places, (N, N, C)."""
    taken = cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(taken.reshape(N, N, -1), np.uint8)


def _values(taken: NDArray[np.uint8], rows: Sequence[int]) -> NDArray[np.float32]:
    """Stored bytes (N, N, C) as planes (C, N, N)."""
    values = taken[..., : len(rows)].transpose(2, 0, 1).astype(np.float32)
    values -= np.float32(ZERO)
    values *= FACTORS[rows]
    return values


def shown(rng: Rng | None, table: CropTable, row: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One crop as planes (PLANES, N, N), and truth and validity (2, N, N); `rng` None = as it is."""
    x, y, factor = _grid(rng)
    out = np.empty((PLANES, N, N), np.float32)
    stored = table.planes[row]
    for part, rows in enumerate(PARTS):
        out[rows] = _values(_take(stored[part], x, y), rows)
    bent = rng is not None and rng.random() < 0.4
    if bent and rng is not None:
        own = _values(_take(stored[SHAPE_PART], *_bent(rng, x, y)), PARTS[SHAPE_PART])
        changed = PARTS[SHAPE_PART][: 1 if rng.random() < 0.5 else 2]  # the chain alone, or both
        out[changed] = own[: len(changed)]
    out[DISTANCE_ROWS] /= np.float32(factor)
    out[STEADY_ROWS] = table.steady[row][:, None, None]
    truth = _take(table.truth[row], x, y).transpose(2, 0, 1).astype(np.float32)
    truth *= np.float32(1 / 255)
    if rng is not None:
        _recolour(rng, out)
    return out, truth


def _recolour(rng: Rng, out: NDArray[np.float32]) -> None:
    """Other light, sharpness and noise; planes weakened or left out; in place."""
    order = rng.permutation(3) if rng.random() < 0.5 else np.arange(3)
    gain = rng.uniform(0.7, 1.35, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0.7, 1.3))
    image = out[:3][order] * gain[:, None, None].astype(np.float32) + np.float32(rng.uniform(-0.15, 0.15))
    if rng.random() < 0.2:
        image = np.stack([cv2.GaussianBlur(c, (0, 0), rng.uniform(0.5, 1.6)) for c in image])
    noise = NOISE[int(rng.integers(NOISE.size - image.size)) :][: image.size].reshape(image.shape)
    out[:3] = image + noise * np.float32(rng.uniform(0, 0.02))
    chance = rng.random()
    if chance < 0.1:
        out[ODDS_ROW] = 0
    elif chance < 0.25:
        out[ODDS_ROW] *= np.float32(rng.uniform(0.2, 1))
    if rng.random() < 0.3:
        out[UNLIKE_ROWS] *= np.float32(rng.uniform(0.5, 1.6))
    if rng.random() < 0.1:
        out[[6, 7] if rng.random() < 0.5 else [8, 9]] = np.float32(rng.uniform(0, 0.3))
    if rng.random() < 0.2:
        out[ERROR_ROW] = 0
    elif rng.random() < 0.5:
        out[ERROR_ROW] *= np.float32(rng.uniform(0.5, 1.4))
    if rng.random() < 0.2:
        out[AGE_ROWS] *= np.float32(rng.uniform(0.5, 2))
