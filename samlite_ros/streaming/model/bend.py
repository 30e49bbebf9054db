"""How a thing moved between two frames: an affine motion, and around it a smooth field of what its points did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.tuning import ShapeTuning

LEAST_EXPONENT = np.float32(-30)
LEAST_CAMERA_POINTS, CAMERA_INLIER_PX = 10, 2.0


@dataclass(frozen=True, eq=False)
class Bend:
    """Where places of the later frame were in the earlier one.

    Args:
        back: float32 (2, 3): the affine part, later to earlier [px].
        centers: float32 (K, 2): points in the later frame [px] ...
        shifts: float32 (K, 2): ... and how far off the affine part they were in the earlier one [px].
        reach_px: Range of a point [px].
        prior: Weight of "no bend".
        points: Number of points that the motion is known from.
        agreeing: Share of them that the affine part explains.
        many_points: A motion known from so many is known well.
    """

    back: NDArray[np.float32]
    centers: NDArray[np.float32]
    shifts: NDArray[np.float32]
    reach_px: float
    prior: float
    points: int
    agreeing: float
    many_points: int

    @property
    def surety(self) -> float:
        """How well the motion is known, 0 to 1."""
        return self.agreeing * min(self.points / self.many_points, 1.0)

    @property
    def forth(self) -> NDArray[np.float32]:
        """(2, 3): the affine part, earlier to later [px]."""
        return np.asarray(cv2.invertAffineTransform(self.back), np.float32)

    def then(self, places: NDArray[np.float32]) -> NDArray[np.float32]:
        """Earlier places of later ones, (N, 2) each [px]."""
        at = places @ self.back[:, :2].T + self.back[:, 2]
        if not len(self.centers):
            return np.asarray(at, np.float32)
        middle = self.centers.mean(0)
        scale = np.float32(1 / self.reach_px)
        p, c = (places - middle) * scale, (self.centers - middle) * scale
        exponent = p @ c.T
        exponent -= np.float32(0.5) * (c * c).sum(1)
        exponent -= np.float32(0.5) * (p * p).sum(1)[:, None]
        weight = np.exp(np.maximum(exponent, LEAST_EXPONENT, out=exponent), out=exponent)
        shift = (weight @ self.shifts) / (weight.sum(1, keepdims=True) + np.float32(self.prior))
        return np.asarray(at + shift, np.float32)


def fit_bend(
    then: NDArray[np.float32],
    now: NDArray[np.float32],
    area_px: float,
    unit_px: float,
    tuning: ShapeTuning,
    camera: NDArray[np.float64] | None = None,
) -> Bend:
    """The motion of a thing from where its points were and are.

    Args:
        then, now: float32 (N, 2): places in the earlier and the later frame [px].
        area_px: Area of the thing [px^2].
        unit_px: Camera pixels per pixel that lengths were tuned for.
        tuning: How.
        camera: (3, 3): later to earlier frame, by what lies on no thing: points that do as that and not as the thing
            does lie behind it, and do not bend it. None = not known.
    """
    forth, agrees = _affine(then, now, unit_px, tuning)
    back = np.asarray(cv2.invertAffineTransform(forth), np.float32)
    none = np.zeros((0, 2), np.float32)
    agreeing = float(agrees.mean()) if len(agrees) else 0.0
    root = float(np.sqrt(max(area_px, 1.0)))
    if len(then) < tuning.least_affine or not tuning.bend_points:
        return Bend(back, none, none, 1.0, tuning.bend_prior, len(then), agreeing, tuning.many_points)
    off = then - (now @ back[:, :2].T + back[:, 2])
    length = np.hypot(off[:, 0], off[:, 1])
    is_near = length < tuning.most_bend * root
    if camera is not None:
        is_near &= ~_behind(then, now, length, camera, tuning.behind_px * unit_px)
    near = np.flatnonzero(is_near)
    prior = tuning.bend_prior
    if len(near) > tuning.bend_points:
        prior *= tuning.bend_points / len(near)
        near = near[np.linspace(0, len(near) - 1, tuning.bend_points).astype(np.intp)]
    reach = max(tuning.bend_reach * root, tuning.least_bend_reach_px * unit_px)
    return Bend(back, now[near], off[near].astype(np.float32), reach, prior, len(then), agreeing, tuning.many_points)


def _affine(
    then: NDArray[np.float32], now: NDArray[np.float32], unit_px: float, tuning: ShapeTuning
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Affine motion (2, 3) of points, a similarity where they are few or would be squeezed, a shift where they are
    fewer; who agrees."""
    count, limit = len(then), tuning.inlier_px * unit_px
    fits = ((tuning.least_affine, cv2.estimateAffine2D), (tuning.least_similar, cv2.estimateAffinePartial2D))
    for least, fit in fits:
        if count < least:
            continue
        matrix, inliers = fit(then, now, method=cv2.RANSAC, ransacReprojThreshold=limit, maxIters=500)
        if matrix is not None and _is_believed(matrix[:, :2], tuning):
            return np.asarray(matrix, np.float32), np.asarray(inliers[:, 0] > 0)
    shift = np.eye(2, 3, dtype=np.float32)
    if count:
        shift[:, 2] = np.median(now - then, 0)
    return shift, np.zeros(count, bool)


def _is_believed(matrix: NDArray[Any], tuning: ShapeTuning) -> bool:
    """Whether a thing may turn and come nearer so, (2, 2): it is neither mirrored nor squeezed to a sliver."""
    long, short = np.linalg.svd(matrix, compute_uv=False)
    area = float(np.linalg.det(matrix))
    return bool(tuning.least_scale < area < tuning.most_scale and long < tuning.most_stretch * short)


def _behind(
    then: NDArray[np.float32],
    now: NDArray[np.float32],
    off_px: NDArray[np.float32],
    camera: NDArray[np.float64],
    behind_px: float,
) -> NDArray[np.bool_]:
    """Which points moved as the camera did, and are so far off [px] the thing's own motion, bool (N,)."""
    at = now @ camera[:, :2].T + camera[:, 2]
    off_camera = np.linalg.norm(at[:, :2] / at[:, 2:] - then, axis=1)
    return np.asarray((off_camera < behind_px) & (off_px > 2 * off_camera) & (off_px > behind_px))


def camera_motion(
    then: NDArray[np.float32], now: NDArray[np.float32], unit_px: float, tuning: ShapeTuning
) -> NDArray[np.float64]:
    """Homography (3, 3) from the later to the earlier frame, of points that lie on no thing."""
    if len(then) > tuning.camera_points:
        chosen = np.linspace(0, len(then) - 1, tuning.camera_points).astype(np.intp)
        then, now = then[chosen], now[chosen]
    if len(then) >= LEAST_CAMERA_POINTS:
        found, agrees = cv2.findHomography(now, then, cv2.USAC_FAST, CAMERA_INLIER_PX * unit_px, maxIters=150)
        if found is not None and agrees.sum() >= LEAST_CAMERA_POINTS:
            found = found / found[2, 2]
            if tuning.least_scale < np.linalg.det(found[:2, :2]) < tuning.most_scale:
                return np.asarray(found, np.float64)
    out = np.eye(3)
    if len(then):
        out[:2, 2] = np.median(then - now, 0)
    return out
