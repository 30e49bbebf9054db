"""The visible surface of a thing: which pixels of a mask show it and not what is beside, behind or before it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.space.depth_grid import DepthGrid
from samlite_ros.space.layers import find_layers
from samlite_ros.space.rays import Rays
from samlite_ros.types import Mask

Field = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class SurfaceTuning:
    """How a mask's pixels are chosen.

    Args:
        eroded_px: Border of a mask that mixes depths [px]; thin masks lose less.
        least_kept: Erosion is taken back where it leaves less than this share of the mask.
        samples: So many pixels are looked at, about.
        least_support: Fewer pixels say nothing.
        near_share: A nearer layer of less than this share of the pixels is something before the thing.
        noise_per_m: Standard deviation of depth at 1 m [m]; it grows with the square of the distance.
        flying_m, flying_share: A pixel that is farther than this, plus this share of its depth and three times the
            noise, from its neighbours on both sides hangs between two surfaces [m].
        border_steps: At the border a pixel may differ from the core beside it by so many times that.
    """

    eroded_px: int = 2
    least_kept: float = 0.2
    samples: int = 900
    least_support: int = 12
    near_share: float = 0.25
    noise_per_m: float = 0.002
    flying_m: float = 0.01
    flying_share: float = 0.01
    border_steps: float = 2.0


TUNING = SurfaceTuning()


@dataclass(frozen=True, eq=False)
class Surface:
    """The visible surface of one thing in a camera's optical frame: x right, y down, z ahead [m].

    Args:
        core: float32 (3, N): points well inside its mask.
        outline: float32 (3, M): points up to the border of its mask, depth without its outermost values.
        margin_m: Half a sampled pixel at its distance: the surface reaches so much farther sideways than its points.
        spread_m: Standard deviation of the depth of `core`, without outliers.
        support: Pixels of the mask that show it, estimated from the samples.
        share: Of the pixels inside the mask: those that show it.
    """

    core: Field
    outline: Field
    margin_m: float
    spread_m: float
    support: int
    share: float


def find_surface(mask: Mask, depth: DepthGrid, rays: Rays, tuning: SurfaceTuning = TUNING) -> Surface | None:
    """The visible surface of what a mask covers; None where too few pixels were measured.

    Args:
        mask: Of the thing, in the pixels of the camera image.
        depth: Of the same image.
        rays: Of the same image.
        tuning: How pixels are chosen.
    """
    samples = _sample(mask, depth, rays, tuning)
    if samples is None:
        return None
    z, inside, core = samples.z, samples.inside, samples.core
    layer = _choose_layer(z[inside], core[inside], tuning)
    if layer is None:
        return None
    core &= (z >= layer[0]) & (z <= layer[1])
    outline, clipped = _up_to_the_border(samples, tuning)
    rays_flat = np.ascontiguousarray(samples.rays).reshape(2, -1)
    within, up_to_border = np.flatnonzero(core), np.flatnonzero(outline)
    inner = z.ravel()[within]
    near, low, middle, high, far = _order_statistics(inner, (0.02, 0.16, 0.5, 0.84, 0.98))
    outer = np.clip(clipped.ravel()[up_to_border], near, far + (far - near) / 2)
    return Surface(
        core=_points(rays_flat[:, within], inner),
        outline=_points(rays_flat[:, up_to_border], outer),
        margin_m=0.5 * samples.stride * middle / rays.focal_px,
        spread_m=(high - low) / 2,
        support=len(outer) * samples.stride**2,
        share=min(len(outer) * samples.stride**2 / mask.area, 1.0),
    )


@dataclass(frozen=True, eq=False)
class _Samples:
    """Every `stride`th pixel of a mask's window.

    Args:
        stride: Between two [px].
        z: float32 (h, w): depth [m]; 0 = not measured.
        inside: bool (h, w): inside the mask, measured, and on a surface.
        core: bool (h, w): of these, those well inside.
        rays: float32 (2, h, w): x/z and y/z.
        tolerance: float32 (h, w): neighbours on a surface differ by less [m].
    """

    stride: int
    z: Field
    inside: Flags
    core: Flags
    rays: Field
    tolerance: Field


def _sample(mask: Mask, depth: DepthGrid, rays: Rays, tuning: SurfaceTuning) -> _Samples | None:
    h, w = mask.probability.shape
    if mask.area < tuning.least_support:
        return None
    stride = max(int(math.sqrt(mask.area / tuning.samples)), math.ceil(math.sqrt(h * w / (12 * tuning.samples))), 1)
    left, top = (w - 1) % stride // 2, (h - 1) % stride // 2  # as far from one border as from the other
    x0, y0, x1, y1 = mask.x0 + left, mask.y0 + top, mask.x0 + w, mask.y0 + h
    z = np.ascontiguousarray(depth.window(x0, y0, x1, y1, stride))
    tolerance = np.float32(tuning.flying_m) + z * (
        np.float32(tuning.flying_share) + z * np.float32(3 * tuning.noise_per_m)
    )
    inside = mask.inside[top::stride, left::stride] & (z > 0)
    if rays.has_gaps:
        inside &= np.isfinite(rays.grid[0, y0:y1:stride, x0:x1:stride])
    inside &= ~_flying(z, tolerance, depth, (x0, y0, x1, y1, stride))
    core = _eroded(mask, tuning)[top::stride, left::stride] & inside
    return _Samples(stride, z, inside, core, rays.grid[:, y0:y1:stride, x0:x1:stride], tolerance)


def _up_to_the_border(samples: _Samples, tuning: SurfaceTuning) -> tuple[Flags, Field]:
    """Which samples go on from the core beside them, and their depth [m], held to that of the core beside them."""
    reach = -(-(tuning.eroded_px + 1) // samples.stride)
    box = (2 * reach + 1, 2 * reach + 1)
    weight = samples.core.astype(np.float32)
    count = cv2.boxFilter(weight, -1, box, normalize=False, borderType=cv2.BORDER_CONSTANT)
    total = cv2.boxFilter(weight * samples.z, -1, box, normalize=False, borderType=cv2.BORDER_CONSTANT)
    beside = total / np.maximum(count, 1)
    away = np.abs(samples.z - beside)
    goes_on = samples.inside & (count > 0.5) & (away < tuning.border_steps * samples.tolerance)
    return np.asarray(goes_on), np.clip(samples.z, beside - samples.tolerance, beside + samples.tolerance)


def _points(rays: Field, depths: Field) -> Field:
    """float32 (3, N) [m]."""
    points = np.empty((3, len(depths)), np.float32)
    np.multiply(rays, depths, out=points[:2])
    points[2] = depths
    return points


@cache
def _square(width_px: int) -> NDArray[np.uint8]:
    return np.ones((2 * width_px + 1, 2 * width_px + 1), np.uint8)


def _eroded(mask: Mask, tuning: SurfaceTuning) -> Flags:
    """bool (h, w): the mask without its border; of a thin one less is taken away."""
    inside = mask.inside.view(np.uint8)
    for width_px in range(tuning.eroded_px, 0, -1):
        kept = cv2.erode(inside, _square(width_px), borderType=cv2.BORDER_CONSTANT, borderValue=0)
        if np.count_nonzero(kept) >= max(tuning.least_kept * mask.area, tuning.least_support):
            return kept.view(np.bool_)
    return mask.inside


def _flying(z: Field, tolerance: Field, depth: DepthGrid, window: tuple[int, int, int, int, int]) -> Flags:
    """bool (h, w): pixels that agree with neither neighbour, across or along: mixed from two surfaces, or noise.

    Where neither was measured, the other direction decides; a pixel without any neighbour is noise.
    """
    left, right = depth.window(*window, dx=-1), depth.window(*window, dx=1)
    above, below = depth.window(*window, dy=-1), depth.window(*window, dy=1)
    off_across = np.minimum(np.abs(z - left), np.abs(z - right)) > tolerance
    off_along = np.minimum(np.abs(z - above), np.abs(z - below)) > tolerance
    alone_across, alone_along = left + right == 0, above + below == 0
    return np.asarray((off_across & (alone_along | ~alone_across)) | (off_along & (alone_across | ~alone_along)))


def _choose_layer(depths: Field, is_core: Flags, tuning: SurfaceTuning) -> tuple[float, float] | None:
    """Least and greatest depth [m] of the thing: the nearest layer that has a fair share of the mask's inner pixels."""
    core = depths[is_core]
    if len(core) < tuning.least_support:
        return None
    layers = find_layers(depths, tuning.noise_per_m)
    if len(layers) == 1:
        return layers[0]
    counts = [int(np.count_nonzero((core >= near) & (core <= far))) for near, far in layers]
    least = max(tuning.near_share * len(core), tuning.least_support)
    return (
        next((layer for layer, count in zip(layers, counts, strict=True) if count >= least), None)
        or max(zip(counts, layers, strict=True))[1]
    )


def _order_statistics(values: Field, shares: tuple[float, ...]) -> tuple[float, ...]:
    places = [int(share * len(values)) for share in shares]
    ordered = np.sort(values)
    return tuple(float(ordered[place]) for place in places)
