"""Looks for a lost object: nearby where its colours are, or in the whole image where its template differs least."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.geometry import Poses, compose, invert, moved_box, translation, window_pose
from samlite_ros.streaming.image.work_image import WorkImage
from samlite_ros.streaming.model.appearance import AppearanceModel
from samlite_ros.streaming.tuning import SearchTuning

COARSE, MIDDLE = 4, 2
"""Work pixels per pixel of the image that is searched as a whole."""


def find_by_color(
    image: WorkImage, model: AppearanceModel, center: NDArray[np.float32], tuning: SearchTuning
) -> NDArray[np.float32]:
    """Climb to where the object's colours are: some steps of mean shift from `center` (2,) [work px]."""
    x0, y0, x1, y1 = model.box_xyxy
    half_width, half_height = (x1 - x0) // 2 + tuning.margin_px, (y1 - y0) // 2 + tuning.margin_px
    height, width = image.size
    for _ in range(tuning.steps):
        left, right = int(max(center[0] - half_width, 0)), int(min(center[0] + half_width, width))
        top, bottom = int(max(center[1] - half_height, 0)), int(min(center[1] + half_height, height))
        if min(right - left, bottom - top) < tuning.least_window_px:
            break
        evidence = np.maximum(model.colors.log_odds[image.color_index[top:bottom, left:right]], 0)
        moments = cv2.moments(evidence)
        if moments["m00"] < tuning.least_evidence:
            break
        center = np.array([left + moments["m10"] / moments["m00"], top + moments["m01"] / moments["m00"]], np.float32)
    return center


def find_by_template(image: WorkImage, model: AppearanceModel, pose: Poses, tuning: SearchTuning) -> list[Poses]:
    """The places in the whole image that look most like an object.

    Args:
        image: The frame.
        model: The object.
        pose: (2, 3): its size and turn; where it puts the object does not matter.
        tuning: How.

    Returns:
        At most `SearchTuning.candidates` poses (2, 3), the likeliest first; none where the object is too small or too
        large to search.
    """
    searched, shrink = image.smooth, MIDDLE
    color, distance, corner = _template(model, pose)
    if np.count_nonzero(distance > 0) >= tuning.coarse_from_px:
        searched, color, distance = _halved(searched), _halved(color), _halved(distance)
        shrink = COARSE
    inside = (distance > 0).astype(np.float32)
    fits = inside.shape[0] <= searched.shape[0] and inside.shape[1] <= searched.shape[1]
    if not fits or np.count_nonzero(inside) < tuning.least_template_px:
        return []
    difference = cv2.matchTemplate(searched, color, cv2.TM_SQDIFF, mask=inside)
    apart_y, apart_x = (max(side // 2, 2) for side in inside.shape)
    found = []
    for _ in range(tuning.candidates):
        least, _, (x, y), _ = cv2.minMaxLoc(difference)
        if not np.isfinite(least):
            break
        found.append(compose(translation(np.array([x, y], np.float32) * shrink - corner), pose))
        difference[max(y - apart_y, 0) : y + apart_y + 1, max(x - apart_x, 0) : x + apart_x + 1] = np.inf
    return found


def _halved(image: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    size = max(width // 2, 1), max(height // 2, 1)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _template(
    model: AppearanceModel, pose: Poses
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """An object at a pose: colours (h, w, 3) and signed distance (h, w), as in `WorkImage.smooth`; corner [work px]."""
    low, high = moved_box(pose, model.box_xyxy)
    corner = np.floor(low).astype(int)
    width, height = (int(n) for n in np.maximum(np.ceil((high - corner) / MIDDLE), 1))
    back = window_pose(invert(pose), (int(corner[0]), int(corner[1])), model.corner)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown, distance = (
        cv2.resize(
            cv2.warpAffine(
                values, back, (width * MIDDLE, height * MIDDLE), flags=flags, borderMode=cv2.BORDER_REPLICATE
            ),
            (width, height),
            interpolation=cv2.INTER_AREA,
        )
        for values in (model.color, model.distance)
    )
    color = cv2.blur(shown.astype(np.float32), (3, 3))
    return np.asarray(color, np.float32), np.asarray(distance, np.float32), corner.astype(np.float32)
