"""The ways in which COCO writes a region: run lengths, plain or compressed, and polygons.

Everything is checked before pycocotools sees it, which computes in C with whatever numbers it is given.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import BagError
from samlite_ros.foreign.limits import IMAGE_PIXELS, POLYGON_PATH_PX
from samlite_ros.foreign.words import one_line, quoted
from samlite_ros.pixels.masks import decode_rle, mask_from_array
from samlite_ros.types import Mask

_FIRST, _LAST, _BITS = 48, 48 + 63, 5
"""A character of compressed run lengths carries five bits, one that says whether more follow, from '0' on."""

_FIELDS = {
    "categories": ("id", "name"),
    "images": ("id", "height", "width"),
    "annotations": ("image_id", "category_id", "segmentation"),
}
"""The lists of an instance file, and what every entry must tell."""


def checked_coco(content: Any) -> dict[str, list[dict[str, Any]]]:
    """What a file says, where it has the form of COCO instances; the values themselves are not looked at.

    Raises:
        ValueError: It has not; says what it is instead, or what lacks where.
    """
    if not isinstance(content, dict):
        raise ValueError(f"the file holds {quoted(content)}, expected an object with {', '.join(_FIELDS)}")
    for kind, names in _FIELDS.items():
        entries = content.get(kind)
        if not isinstance(entries, list):
            raise ValueError(f"{_instead(content, kind)}, expected a list of objects with {', '.join(names)}")
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise ValueError(f"{kind}[{i}] is {quoted(entry)}, expected an object with {', '.join(names)}")
            if lacking := [name for name in names if name not in entry]:
                raise ValueError(f"{kind}[{i}] has no {', '.join(lacking)}")
    return content


def _instead(content: dict[str, Any], kind: str) -> str:
    if "shapes" in content:
        return f"it is what LabelMe writes for one image, without {kind}: export all images as COCO first"
    return f"{kind} is {quoted(content[kind])}" if kind in content else f"there is no {kind}"


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
        raise ValueError(f"a segmentation is run lengths or polygons, got {quoted(segmentation)}")
    written = segmentation.get("size", list(size))
    if not isinstance(written, list | tuple) or tuple(written) != size:
        raise ValueError(f"run lengths of size {quoted(written)}, the image is {list(size)}")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        counts = decompress_counts(counts)
    if not isinstance(counts, list):
        raise ValueError(f"run lengths are a list or a compressed text, got {quoted(counts)}")
    return mask_from_array(decode_rle(counts, *size))


def decompress_counts(text: str) -> list[int]:
    """Run lengths from COCO's compressed text: each but the first three is a difference to the one before the last.

    Raises:
        ValueError: It is no such text.

    Source: cocodataset/cocoapi, common/maskApi.c, rleFrString.
    """
    counts: list[int] = []
    value = bits = 0
    for letter in text.encode("latin-1", "replace"):
        if not _FIRST <= letter <= _LAST or bits > 60:
            raise ValueError(f"compressed run lengths that cannot be read: {quoted(text)}")
        digit = letter - _FIRST
        value |= (digit & 0x1F) << bits
        bits += _BITS
        if digit & 0x20:  # more follow
            continue
        if digit & 0x10:
            value -= 1 << bits
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = bits = 0
    if bits:
        raise ValueError(f"compressed run lengths that end in the middle of a number: {quoted(text)}")
    return counts


def _decode_polygons(polygons: list[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W): their union."""
    if polygons and not any(isinstance(polygon, list) for polygon in polygons):  # a single one, without its list
        polygons = [polygons]
    if not polygons:
        raise ValueError("an empty list of polygons")
    path_px = sum(_checked_path_px(polygon, size) for polygon in polygons)
    if path_px > POLYGON_PATH_PX or size[0] * size[1] > IMAGE_PIXELS:
        raise ValueError(f"outlines of {path_px:.3g} pixels: expected at most {POLYGON_PATH_PX:,}")
    coco_mask = _pycocotools()
    try:
        rle = coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
        return np.asarray(coco_mask.decode(rle)).astype(bool)
    except Exception as error:  # pycocotools raises what it happens to meet
        raise ValueError(f"polygons that cannot be read: {one_line(error)}") from error


def _checked_path_px(polygon: Any, size: tuple[int, int]) -> float:
    """Length of a polygon's outline, as pycocotools takes memory for it [px].

    Raises:
        ValueError: It is no polygon, or lies further outside of the image than the image is large.
    """
    numbers = isinstance(polygon, list) and all(type(v) in (int, float) for v in polygon)
    if not numbers or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(f"a polygon is x, y of at least three points, got {quoted(polygon)}")
    for place, value in enumerate(polygon):
        extent = size[1 - place % 2]
        if not math.isfinite(value) or not -extent <= value <= 2 * extent:
            raise ValueError(f"a corner of a polygon at {quoted(value)}, the image is {size[1]} x {size[0]}")
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    return float(np.abs(corners - np.roll(corners, 1, axis=0)).max(1).sum()) + len(corners)


def _pycocotools() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise BagError("truth has polygons: pip install pycocotools") from error
    return mask
