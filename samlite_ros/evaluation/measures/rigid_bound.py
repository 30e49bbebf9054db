"""How well any rigid carrying could do: the true mask of the keyframe, moved by the affine motion that fits best."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH_PX = 160
"""Motions are fitted at this width."""
LEAST_AREA = 4.0
BLUR_PX = 2.0
_ENOUGH = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)


def rigid_bound(keyframe: NDArray[np.bool_], now: NDArray[np.bool_]) -> float:
    """Overlap that a thing's mask in the keyframe reaches, moved by an affine motion onto what is seen of it now.

    Args:
        keyframe, now: bool (H, W).

    Returns:
        0 to 1: what turning, bending and being hidden leave; 0 where the keyframe shows nothing of it.
    """
    size = (WIDTH_PX, max(round(keyframe.shape[0] * WIDTH_PX / keyframe.shape[1]), 1))
    before, after = (
        np.asarray(cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
        for m in (keyframe, now)
    )
    if min(before.sum(), after.sum()) < LEAST_AREA:
        return 0.0
    return max(_overlap(before, after, warp) for warp in _motions(before, after))


def _motions(before: NDArray[np.float32], after: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """float32 (2, 3), now to keyframe: centre onto centre with and without the change of area, each also refined."""
    old, new = cv2.moments(before), cv2.moments(after)
    center_before, center_after = (np.array([m["m10"], m["m01"]]) / m["m00"] for m in (old, new))
    motions = []
    for scale in (1.0, float(np.sqrt(new["m00"] / old["m00"]))):
        shift = center_before - center_after / scale
        motions.append(np.hstack([np.eye(2) / scale, shift[:, None]]).astype(np.float32))
    return motions + [fitted for motion in motions if (fitted := _fitted(before, after, motion)) is not None]


def _fitted(
    before: NDArray[np.float32], after: NDArray[np.float32], start: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """float32 (2, 3): the affine motion that ECC finds from there; None where it finds none."""
    template, image = (cv2.GaussianBlur(m, (0, 0), BLUR_PX) for m in (after, before))
    mask = np.full(before.shape, 255, np.uint8)
    try:
        _, motion = cv2.findTransformECC(template, image, start.copy(), cv2.MOTION_AFFINE, _ENOUGH, mask, 1)
    except cv2.error:
        return None
    return np.asarray(motion, np.float32)


def _overlap(before: NDArray[np.float32], after: NDArray[np.float32], warp: NDArray[np.float32]) -> float:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = np.asarray(cv2.warpAffine(before, warp, before.shape[::-1], flags=flags)) > 0.5
    inside = after > 0.5
    return float(np.count_nonzero(moved & inside) / max(int(np.count_nonzero(moved | inside)), 1))
