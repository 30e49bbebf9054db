"""The ways in which COCO writes a region: run lengths, plain or compressed, and polygons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import BagError
from samlite_ros.pixels.masks import decode_rle, mask_from_array
from samlite_ros.types import Mask


def decode_segmentation(segmentation: Any, size: tuple[int, int]) -> Mask:
    """Decode a region.

    Args:
        segmentation: Run lengths as an array; or what COCO allows: {size, counts} with a list of run lengths or with a
            compressed text, or a list of polygons [x0, y0, x1, y1, ...], whose union it is.
        size: (H, W) of the image [px].

    Raises:
        ValueError: It is none of these, or does not fit the image.
        BagError: It needs pycocotools, which is not installed.
    """
    if isinstance(segmentation, np.ndarray):
        return mask_from_array(decode_rle(segmentation, *size))
    if isinstance(segmentation, list):
        return mask_from_array(_decode_polygons(segmentation, size))
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise ValueError(f"a segmentation is run lengths or polygons, got {segmentation!r:.60}")
    if tuple(segmentation.get("size", size)) != size:
        raise ValueError(f"run lengths of size {segmentation['size']}, the image is {list(size)}")
    if isinstance(segmentation["counts"], list):
        return mask_from_array(decode_rle(segmentation["counts"], *size))
    return mask_from_array(_decode_compressed({"size": list(size), "counts": segmentation["counts"]}))


def _decode_polygons(polygons: list[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    if polygons and not any(isinstance(polygon, list) for polygon in polygons):  # a single one, without its list
        polygons = [polygons]
    for polygon in polygons:
        numbers = isinstance(polygon, list) and all(isinstance(v, int | float) and math.isfinite(v) for v in polygon)
        if not numbers or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon is x, y of at least three points, got {polygon!r:.60}")
    if not polygons:
        raise ValueError("an empty list of polygons")
    coco_mask = _pycocotools()
    return _decode_compressed(coco_mask.merge(coco_mask.frPyObjects(polygons, *size)))


def _decode_compressed(rle: dict[str, Any]) -> NDArray[np.bool_]:
    try:
        return np.asarray(_pycocotools().decode(rle)).astype(bool)
    except BagError:
        raise
    except Exception as error:  # pycocotools raises what it happens to meet
        raise ValueError(f"compressed run lengths that cannot be read: {error}") from error


def _pycocotools() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise BagError("truth has polygons or compressed run lengths: pip install pycocotools") from error
    return mask
