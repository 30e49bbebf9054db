"""Masks and boxes: COCO run lengths, bounds, overlap, and the label images of a whole answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.foreign.limits import IMAGE_PIXELS
from samlite_ros.foreign.words import quoted
from samlite_ros.types import Instance, Mask

NOTHING = 255
"""Label of a pixel that belongs to no class, in the mono8 label image."""
_LEVELS = np.arange(256, dtype=np.float32)


def encode_rle(mask: Mask) -> NDArray[np.uint32]:
    """Encode a mask as COCO run lengths of the whole image.

    Args:
        mask: The mask; only its window is read.

    Returns:
        uint32 (N,): lengths of runs of zeros and ones in turn, zeros first, pixels column by column (column-major).
        They sum to H * W. `pycocotools.mask.frPyObjects` reads them.
    """
    height, width = mask.size
    h, w = mask.inside.shape
    flat = np.zeros(w * (h + 1) + 1, bool)  # zeros above each column and at the end: they end the run before them
    if mask.inside.size:
        columns = flat[:-1].reshape(w, h + 1)
        columns[:, 1:] = cv2.transpose(mask.inside.view(np.uint8))  # several times as fast as numpy's
    at = np.flatnonzero(flat[1:] != flat[:-1])  # starts and ends in turn
    edges = at + at // (h + 1) * (height - h - 1) + (mask.x0 * height + mask.y0)
    if h == height:  # only then can a run go on at the top of the next column
        edges = _join_touching(edges)
    counts = np.diff(np.concatenate(([0], edges, [height * width]))).astype(np.uint32)
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def _join_touching(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop the pairs where one run ends where the next starts (columns that are full from bottom to top)."""
    starts, ends = edges[0::2], edges[1::2]
    touching = ends[:-1] == starts[1:]
    keep_start = np.concatenate(([True], ~touching)) if len(starts) else np.zeros(0, bool)
    keep_end = np.concatenate((~touching, [True])) if len(ends) else np.zeros(0, bool)
    out = np.empty(2 * int(keep_start.sum()), np.int64)
    out[0::2], out[1::2] = starts[keep_start], ends[keep_end]
    return out


def decode_rle(
    counts: Sequence[int] | NDArray[np.uint32], height: int, width: int, max_pixels: int = IMAGE_PIXELS
) -> NDArray[np.bool_]:
    """Decode COCO run lengths.

    Args:
        counts: Run lengths, zeros first, column-major.
        height, width: Size of the image [px].
        max_pixels: Larger images are refused before memory is taken for them.

    Returns:
        bool (height, width).

    Raises:
        ValueError: The runs are no counts, or do not sum to height * width, or the image is too large or has no pixels.
    """
    if height <= 0 or width <= 0 or height * width > max_pixels:
        raise ValueError(f"a mask of {width} x {height} pixels: expected 1 to {max_pixels:,} pixels")
    runs = _runs(counts, height * width)
    ends = np.cumsum(runs)  # cannot wrap: no run is longer than the image, and there are few beyond its pixels
    if len(ends) == 0 or ends[-1] != height * width:
        total = int(ends[-1]) if len(ends) else 0
        raise ValueError(f"run lengths sum to {total}, an image of {height} x {width} has {height * width} pixels")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(width, height).T


def _runs(counts: Sequence[int] | NDArray[np.uint32], pixels: int) -> NDArray[np.int64]:
    """int64 (N,): run lengths, each of 0 to all pixels.

    Raises:
        ValueError: One is no such number.
    """
    if len(counts) > 2 * pixels + 2:  # every other one may be 0
        raise ValueError(f"{len(counts):,} run lengths for {pixels:,} pixels")
    if isinstance(counts, np.ndarray):
        if counts.dtype.kind not in "iu" or (len(counts) and (int(counts.max()) > pixels or int(counts.min()) < 0)):
            raise ValueError(f"run lengths of {counts.dtype} that are longer than the {pixels:,} pixels of the image")
        return counts.astype(np.int64)
    for count in counts:
        is_number = type(count) in (int, float) and 0 <= count <= pixels
        if not is_number or int(count) != count:
            raise ValueError(f"a run of {quoted(count)} pixels in an image of {pixels:,}")
    return np.asarray(counts, np.int64)


def mask_from_array(
    inside: NDArray[np.bool_], probability: NDArray[np.uint8] | None = None, threshold: int = 128
) -> Mask:
    """Build a `Mask` from a whole image.

    Args:
        inside: bool (H, W).
        probability: uint8 (H, W); None = 255 inside, 0 outside.
        threshold: See `Mask`; only read with `probability`.
    """
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    size = inside.shape[0], inside.shape[1]
    if not len(rows):
        return Mask(0, 0, np.zeros((0, 0), np.uint8), size, threshold)
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    soft = inside.astype(np.uint8) * np.uint8(255) if probability is None else probability
    return Mask(x0, y0, np.ascontiguousarray(soft[y0:y1, x0:x1]), size, threshold)


def mask_bounds_xyxy(mask: Mask) -> tuple[float, float, float, float] | None:
    """Bounds (x0, y0, x1, y1) [px] of the pixels inside, exclusive at the right and below; None = empty mask."""
    rows, columns = np.flatnonzero(mask.inside.any(1)), np.flatnonzero(mask.inside.any(0))
    if not len(rows):
        return None
    return (
        float(mask.x0 + columns[0]),
        float(mask.y0 + rows[0]),
        float(mask.x0 + columns[-1] + 1),
        float(mask.y0 + rows[-1] + 1),
    )


def mask_iou(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks of one image; 0 where both are empty."""
    y0, x0 = max(a.y0, b.y0), max(a.x0, b.x0)
    y1 = min(a.y0 + a.probability.shape[0], b.y0 + b.probability.shape[0])
    x1 = min(a.x0 + a.probability.shape[1], b.x0 + b.probability.shape[1])
    if y1 <= y0 or x1 <= x0:
        return 0.0
    in_a = a.inside[y0 - a.y0 : y1 - a.y0, x0 - a.x0 : x1 - a.x0]
    in_b = b.inside[y0 - b.y0 : y1 - b.y0, x0 - b.x0 : x1 - b.x0]
    shared = int(np.count_nonzero(in_a & in_b))
    return shared / (a.area + b.area - shared) if shared else 0.0


class LabelImages(NamedTuple):
    """Rasters of one answer, all (H, W).

    Args:
        label: uint8: class id 0 to 254, 255 = nothing.
        confidence: uint8: confidence times pixel probability, 0 to 255.
        instance: uint16: 1-based index into the answer's instances, 0 = nothing.
    """

    label: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    instance: NDArray[np.uint16]


def label_images(instances: Sequence[Instance], size: tuple[int, int]) -> LabelImages:
    """Rasterise instances; where masks overlap the highest confidence x pixel probability wins.

    Args:
        instances: Each is drawn with the class id of its best match.
        size: (H, W) [px].
    """
    label = np.full(size, NOTHING, np.uint8)
    confidence = np.zeros(size, np.uint8)
    index = np.zeros(size, np.uint16)
    for number, instance in enumerate(instances, 1):
        mask = instance.mask
        weight = cv2.LUT(mask.probability, (_LEVELS * np.float32(instance.confidence)).astype(np.uint8))
        wins = mask.inside & ((weight > confidence[mask.window]) | (index[mask.window] == 0))
        np.copyto(label[mask.window], instance.matches[0].query.class_id, where=wins)
        np.copyto(confidence[mask.window], weight, where=wins)
        np.copyto(index[mask.window], number, where=wins)
    return LabelImages(label, confidence, index)
