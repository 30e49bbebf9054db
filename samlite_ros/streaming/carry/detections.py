"""What the network found in a keyframe, one entry per object: brought to the fine grid, prompts merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.pixels.masks import mask_iou
from samlite_ros.streaming.carry.tracks import PromptMatch
from samlite_ros.streaming.image.work_image import FINE
from samlite_ros.streaming.model.keyframe import KeyframeMask
from samlite_ros.streaming.tuning import DetectionTuning
from samlite_ros.types import Mask, Prompt, PromptResult


@dataclass(frozen=True, eq=False)
class KeyframeDetection:
    """One object in a keyframe.

    Args:
        mask: As the network gave it, at the camera's resolution.
        keyframe_mask: The same on the fine grid.
        matches: The prompts that found it, best score first.
    """

    mask: Mask
    keyframe_mask: KeyframeMask
    matches: tuple[PromptMatch, ...]

    @property
    def prompts(self) -> frozenset[Prompt]:
        """The prompts that found it."""
        return frozenset(m.prompt for m in self.matches)


def detections_from(
    results: Sequence[PromptResult],
    thresholds: Mapping[Prompt, int],
    keyframe_ns: int,
    work_size: tuple[int, int],
    merge: bool,
    tuning: DetectionTuning,
) -> list[KeyframeDetection]:
    """Collect a keyframe's instances.

    Args:
        results: One per prompt.
        thresholds: By prompt: the least pixel probability inside a mask, 1 to 255. Other prompts are left out.
        keyframe_ns: Stamp of the keyframe [ns].
        work_size: (h, w) of the work image.
        merge: What two prompts both find becomes one object with two matches.
        tuning: How.
    """
    found = [
        (float(score), result.prompt, replace(mask, threshold=thresholds[result.prompt]))
        for result in results
        if result.prompt in thresholds
        for score, mask in zip(result.scores, result.masks, strict=True)
    ]
    detections: list[KeyframeDetection] = []
    for score, prompt, mask in sorted(found, key=lambda entry: -entry[0]):
        match = PromptMatch(prompt, score, keyframe_ns)
        same = _same_object(detections, mask, prompt, tuning.same_object_iou) if merge else None
        if same is not None:
            detections[same] = replace(detections[same], matches=(*detections[same].matches, match))
            continue
        keyframe_mask = to_keyframe_mask(mask, work_size)
        if keyframe_mask is not None:
            detections.append(KeyframeDetection(mask, keyframe_mask, (match,)))
    return detections


def _same_object(detections: Sequence[KeyframeDetection], mask: Mask, prompt: Prompt, least_iou: float) -> int | None:
    """Index of the detection that another prompt made of the same object."""
    for index, detection in enumerate(detections):
        if prompt not in detection.prompts and mask_iou(detection.mask, mask) >= least_iou:
            return index
    return None


def merge_matches(
    old: Sequence[PromptMatch], new: Sequence[PromptMatch], searched: frozenset[Prompt], tuning: DetectionTuning
) -> tuple[PromptMatch, ...]:
    """What an object answers to after a keyframe found it: new matches, and old ones that were not refuted often."""
    merged = {m.prompt: m for m in new}
    for match in old:
        if match.prompt in merged:
            continue
        misses = match.misses + (match.prompt in searched)
        if misses < tuning.most_prompt_misses:
            merged[match.prompt] = PromptMatch(match.prompt, match.score, match.keyframe_ns, misses)
    return tuple(sorted(merged.values(), key=lambda m: -m.score))


def to_keyframe_mask(mask: Mask, work_size: tuple[int, int]) -> KeyframeMask | None:
    """Bring a mask of the camera image to the fine grid; None = nothing of it is left there."""
    rows, columns = np.flatnonzero(mask.inside.any(1)), np.flatnonzero(mask.inside.any(0))
    if not len(rows):
        return None
    scale_y, scale_x = float(mask.size[0] / work_size[0]), float(mask.size[1] / work_size[1])
    x0, x1 = int((mask.x0 + columns[0]) / scale_x), int(np.ceil((mask.x0 + columns[-1] + 1) / scale_x))
    y0, y1 = int((mask.y0 + rows[0]) / scale_y), int(np.ceil((mask.y0 + rows[-1] + 1) / scale_y))
    x1, y1 = min(x1, work_size[1]), min(y1, work_size[0])
    to_camera = np.array(
        [
            [scale_x / FINE, 0, (x0 * FINE + 0.5) * scale_x / FINE - 0.5 - mask.x0],
            [0, scale_y / FINE, (y0 * FINE + 0.5) * scale_y / FINE - 0.5 - mask.y0],
        ],
        np.float32,
    )
    fine = cv2.warpAffine(
        mask.inside.astype(np.uint8) * np.uint8(255),
        to_camera,
        ((x1 - x0) * FINE, (y1 - y0) * FINE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    inside: NDArray[np.bool_] = fine >= 128
    return KeyframeMask(x0, y0, inside) if inside.any() else None


def nested_with(masks: Sequence[KeyframeMask], tuning: DetectionTuning) -> list[frozenset[int]]:
    """For each mask the indices of those that share pixels with it."""
    partners: list[set[int]] = [set() for _ in masks]
    if len(masks) > 1:
        for a, b in _overlapping_boxes(masks):
            shared = _shared_pixels(masks[a], masks[b])
            smaller = min(int(np.count_nonzero(masks[i].inside)) for i in (a, b))
            if shared > tuning.nested_share * max(smaller, 1):
                partners[a].add(b)
                partners[b].add(a)
    return [frozenset(p) for p in partners]


def _overlapping_boxes(masks: Sequence[KeyframeMask]) -> list[tuple[int, int]]:
    """Pairs whose windows overlap."""
    x0, y0, x1, y1 = np.array([m.box_xyxy for m in masks]).T
    apart = (x0[:, None] >= x1) | (x1[:, None] <= x0) | (y0[:, None] >= y1) | (y1[:, None] <= y0)
    first, second = np.nonzero(np.triu(~apart, 1))
    return [(int(a), int(b)) for a, b in zip(first, second, strict=True)]


def _shared_pixels(a: KeyframeMask, b: KeyframeMask) -> int:
    ax0, ay0, ax1, ay1 = a.box_xyxy
    bx0, by0, bx1, by1 = b.box_xyxy
    x0, y0, x1, y1 = max(ax0, bx0), max(ay0, by0), min(ax1, bx1), min(ay1, by1)
    in_a = a.inside[y0 - ay0 : y1 - ay0, x0 - ax0 : x1 - ax0]
    in_b = b.inside[y0 - by0 : y1 - by0, x0 - bx0 : x1 - bx0]
    return int(np.count_nonzero(in_a & in_b))
