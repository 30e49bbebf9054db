"""Draw an answer over its image: translucent masks, outlines, and labels that stay legible."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.types import Instance, Prompt, Query, QueryResult, Segmentation

_GOLDEN = 0.618034  # steps of the golden ratio around the colour circle keep neighbours apart, however many there are
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_LEAST_TINT, _MOST_TINT = 0.06, 0.16
"""Share of the class's colour inside of a mask: more would hide the colour that was asked for."""
_OLD_S = 2.0
"""A mask of this age is as dim as it gets [s]."""
_DIMMEST = 0.4
"""What an old mask keeps of its colour."""
_AGE_WRITTEN_S = 0.5
"""The age of masks is written from here on [s]."""
_MOST_COVERED = 0.25
"""A label that would cover more of the image is left out."""

Rectangle = tuple[int, int, int, int]


class _Style(NamedTuple):
    """Sizes that fit the image: what reads well at 480 lines is too thin at 2160."""

    line_px: int
    dash_px: int
    font_scale: float


def draw_overlay(image: NDArray[np.uint8], answer: Segmentation | Sequence[Instance]) -> NDArray[np.uint8]:
    """Draw instances over the image they belong to.

    Colours belong to classes. A mask that the network saw in this very image has a solid outline, one that was carried
    here a dashed one; the less it is trusted, the fainter its tint, and the older, the dimmer its colour.

    Args:
        image: uint8 (H, W, 3), RGB; stays as it is.
        answer: A whole answer, or its instances, of which no age is known.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ValueError: A mask is of another size than the image.
    """
    if isinstance(answer, Segmentation):
        instances: Sequence[Instance] = answer.instances
        ages = [max((answer.stamp_ns - i.keyframe_stamp_ns) / 1e9, 0.0) for i in instances]
    else:
        instances, ages = answer, [0.0] * len(answer)
    out = np.array(image, order="C")
    style = _style(out.shape[0], out.shape[1])
    for instance in instances:
        if instance.mask.size != out.shape[:2]:
            raise ValueError(f"a mask of {instance.mask.size} does not belong to an image of {out.shape[:2]}")
        _fill(out, instance)
    colors = [_aged(class_color(i.matches[0].query.class_id), age) for i, age in zip(instances, ages, strict=True)]
    for instance, color in zip(instances, colors, strict=True):
        _outline(out, instance, color, style)
    taken: list[Rectangle] = []
    for instance, age, color in zip(instances, ages, colors, strict=True):
        _label(out, instance, _label_text(instance, age), color, style, taken)
    return out


def draw_legend(image: NDArray[np.uint8], results: Sequence[QueryResult]) -> None:
    """Write what became of each query into the image's lower left corner: how many were found, or not there.

    Args:
        image: uint8 (H, W, 3), RGB; written to. Lines that do not fit into its lower half are left out, and all where
            one would cover more than a sixth of it.
        results: One line for each prompt, in their order; of several queries for one, the most that were found.
    """
    style = _style(image.shape[0], image.shape[1])
    thickness = max(1, round(style.font_scale * 1.6))
    (_, ascent), descent = cv2.getTextSize("Mg", _FONT, style.font_scale, thickness)
    step = ascent + 2 * descent
    most = image.shape[0] // 2 // step if 6 * step <= image.shape[0] else 0
    lines = _once_each(results)[:most]
    y = image.shape[0] - descent - step * (len(lines) - 1)
    for result in lines:
        text = _result_text(result)
        for ink, extra in ((_BLACK, 2), (class_color(result.query.class_id), 0)):  # a dark rim keeps it legible
            cv2.putText(image, text, (descent, y), _FONT, style.font_scale, ink, thickness + extra, cv2.LINE_AA)
        y += step


def _once_each(results: Sequence[QueryResult]) -> list[QueryResult]:
    by_prompt: dict[Prompt, QueryResult] = {}
    for result in results:
        known = by_prompt.setdefault(result.query.prompt, result)
        if result.count > known.count or math.isnan(known.presence):
            by_prompt[result.query.prompt] = result
    return list(by_prompt.values())


def _result_text(result: QueryResult) -> str:
    phrase = _ascii(result.query)
    if math.isnan(result.presence):
        return f"{phrase}: not searched yet"
    return f"{phrase}: {result.count}" if result.count else f"{phrase}: not there, presence {result.presence:.2f}"


@lru_cache(maxsize=256)
def class_color(class_id: int) -> tuple[int, int, int]:
    """RGB of a class; the same in every frame."""
    red, green, blue = colorsys.hsv_to_rgb((0.55 + class_id * _GOLDEN) % 1.0, 0.8, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _style(height: int, width: int) -> _Style:
    size = min(height, width)
    line = max(1, round(size / 300))
    return _Style(line, max(3, round(size / 80)), max(size / 1000, 0.35))


def _aged(color: tuple[int, int, int], age_s: float) -> tuple[int, int, int]:
    """Dimmer with age."""
    kept = 1 - (1 - _DIMMEST) * min(age_s / _OLD_S, 1.0)
    red, green, blue = (round(value * kept) for value in color)
    return red, green, blue


def _fill(out: NDArray[np.uint8], instance: Instance) -> None:
    """Mix the class's colour into the pixels of the mask."""
    window, inside = out[instance.mask.window], instance.mask.inside
    if not inside.size:
        return
    weight = _LEAST_TINT + (_MOST_TINT - _LEAST_TINT) * min(max(instance.confidence, 0.0), 1.0)
    color = np.full_like(window, class_color(instance.matches[0].query.class_id))
    cv2.copyTo(cv2.addWeighted(window, 1 - weight, color, weight, 0), inside.view(np.uint8), window)


def _outline(out: NDArray[np.uint8], instance: Instance, color: tuple[int, int, int], style: _Style) -> None:
    mask = instance.mask
    contours, _ = cv2.findContours(
        mask.inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(mask.x0, mask.y0)
    )
    if instance.propagated:
        step = style.dash_px
        dashes = [c[i : i + step] for c in contours for i in range(0, len(c), 2 * step)]
        cv2.polylines(out, dashes, False, color, style.line_px)
    else:
        cv2.polylines(out, list(contours), True, color, style.line_px)


def _label(
    out: NDArray[np.uint8],
    instance: Instance,
    text: str,
    color: tuple[int, int, int],
    style: _Style,
    taken: list[Rectangle],
) -> None:
    """Write phrase, confidence and track above the box, or below where another label is; adds what it covers."""
    thickness = max(1, round(style.font_scale * 1.6))
    (width, ascent), descent = cv2.getTextSize(text, _FONT, style.font_scale, thickness)
    pad = max(2, ascent // 4)
    size = width + 2 * pad, ascent + descent + 2 * pad
    if min(size[0], out.shape[1]) * min(size[1], out.shape[0]) > _MOST_COVERED * out.shape[0] * out.shape[1]:
        return
    place = _free_place(instance.box_xyxy, size, (out.shape[1], out.shape[0]), taken)
    x0, y0, x1, y1 = place
    taken.append(place)
    cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), color, cv2.FILLED)
    ink = _BLACK if 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2] > 110 else _WHITE
    cv2.putText(out, text, (x0 + pad, y0 + pad + ascent), _FONT, style.font_scale, ink, thickness, cv2.LINE_AA)


def _label_text(instance: Instance, age_s: float) -> str:
    best = instance.matches[0]
    track = f" #{instance.track_id}" if instance.track_id else ""
    age = f" {age_s:.1f} s old" if age_s >= _AGE_WRITTEN_S else ""
    return f"{_ascii(best.query)} {instance.confidence:.2f}{track}{age}"


def _ascii(query: Query) -> str:
    return (query.text or query.prompt.display).encode("ascii", "replace").decode()  # OpenCV's fonts have no more


def _free_place(
    box: tuple[float, float, float, float], size: tuple[int, int], image: tuple[int, int], taken: Sequence[Rectangle]
) -> Rectangle:
    """Where a label goes: above the box, else at its lower edge, else inside its top; moved into the image."""
    x0 = _clamp(box[0], image[0] - size[0])
    places = []
    for top in (box[1] - size[1], box[3], box[1]):
        y0 = _clamp(top, image[1] - size[1])
        places.append((x0, y0, x0 + size[0], y0 + size[1]))
    return next((p for p in places if not any(_overlap(p, t) for t in taken)), places[0])


def _clamp(value: float, upper: int) -> int:
    return int(min(max(value, 0), max(upper, 0)))


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
