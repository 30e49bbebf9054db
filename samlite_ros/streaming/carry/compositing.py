"""From poses to masks: each object of a frame is a layer of log-odds, and every pixel goes to the highest one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.tracks import Track
from samlite_ros.streaming.carry.ways import Claim, paste
from samlite_ros.streaming.image.frame_images import Window
from samlite_ros.streaming.image.geometry import Poses, corner_shift_px, invert, moved_box, scale_of, window_pose
from samlite_ros.streaming.image.work_image import WorkImage
from samlite_ros.streaming.model.appearance import FAR_OUTSIDE
from samlite_ros.streaming.tuning import CompositingTuning
from samlite_ros.types import Mask

MOST_DRAWN, LEVELS_PER_UNIT = 10.0, 12.7
"""Masks are drawn from log-odds in levels from 1 to 255: 128 = undecided, so many levels per unit."""
PROBABILITY_OF_LEVEL = np.rint(255 / (1 + np.exp((128 - np.arange(256)) / LEVELS_PER_UNIT))).astype(np.uint8)
THIRDS = np.full((1, 3), 1 / 3, np.float32)
NO_SHAPES: Mapping[int, Claim] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Layer:
    """Log-odds that pixels belong to one object, before others have their say.

    Args:
        track: The object.
        x0, y0: Upper left corner of the window [work px].
        log_odds: float32 (h, w).
    """

    track: Track
    x0: int
    y0: int
    log_odds: NDArray[np.float32]

    def claim(self, image: WorkImage) -> Claim:
        """The same at the camera's resolution."""
        sy, sx = image.camera_scale
        h, w = self.log_odds.shape
        return Claim(Window(self.x0 * sx, self.y0 * sy, w * sx, h * sy), self.log_odds)

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of the window in a work image."""
        h, w = self.log_odds.shape
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)


@dataclass(frozen=True, eq=False)
class _Place:
    """Where one object may be in the image.

    Args:
        window: Bounds (x0, y0, x1, y1) of all that it may cover [work px].
        back: (2, 3): from the window to the model's crop.
        steepness: Log-odds per fine pixel of the model's signed distance.
    """

    window: tuple[int, int, int, int]
    back: Poses
    steepness: np.float32

    @property
    def size(self) -> tuple[int, int]:
        """(w, h) of the window."""
        x0, y0, x1, y1 = self.window
        return x1 - x0, y1 - y0


def render_layers(
    tracks: Sequence[Track], image: WorkImage, tuning: CompositingTuning, shapes: Mapping[int, Claim] = NO_SHAPES
) -> list[Layer]:
    """What is known of objects; those outside the image or not there at all are left out.

    Args:
        tracks: The objects.
        image: The frame.
        tuning: How.
        shapes: What was carried and refined of them, by their ids; of the others, and of those that stand still, shape,
            colours and template are looked at where their poses say.
    """
    by_template = [t for t in tracks if t.track_id not in shapes or t.still]
    by_shape = [t for t in tracks if t.track_id in shapes and not t.still]
    carried = [_of_shape(t, shapes[t.track_id], image, tuning) for t in by_shape]
    by_id = {x.track.track_id: x for x in (*carried, *_of_templates(by_template, image, tuning)) if x is not None}
    return [by_id[t.track_id] for t in tracks if t.track_id in by_id]


def template_claims(tracks: Sequence[Track], image: WorkImage, tuning: CompositingTuning) -> dict[int, Claim]:
    """What objects' templates say, by their ids, at the camera's resolution."""
    return {layer.track.track_id: layer.claim(image) for layer in _of_templates(tracks, image, tuning)}


def _of_shape(track: Track, claim: Claim, image: WorkImage, tuning: CompositingTuning) -> Layer | None:
    """What was carried and refined of an object."""
    sy, sx = image.camera_scale
    x0, y0, log_odds = paste(claim, image.size, (sx, sy))
    if min(log_odds.shape) < tuning.least_window_px:
        return None
    if track.misses:
        log_odds = np.minimum(log_odds, np.float32(tuning.missed_limit)) - np.float32(tuning.missed_penalty)
    return Layer(track, x0, y0, log_odds)


def _of_templates(tracks: Sequence[Track], image: WorkImage, tuning: CompositingTuning) -> list[Layer]:
    """What shape, colours and template say of objects at their poses."""
    if not tracks:
        return []
    placed = zip(tracks, _places(tracks, image.size, tuning), strict=True)
    layers = (_render(t, p, image, tuning) for t, p in placed if min(p.size) >= tuning.least_window_px)
    return [layer for layer in layers if layer is not None]


def _places(tracks: Sequence[Track], size: tuple[int, int], tuning: CompositingTuning) -> list[_Place]:
    """Where the objects may be in an image of size (h, w)."""
    poses = np.stack([t.pose for t in tracks])
    boxes = np.array([t.model.box_xyxy for t in tracks], np.float32)
    shifts_px = corner_shift_px(poses, boxes)
    margins = np.array([_margin_px(t, s, tuning) for t, s in zip(tracks, shifts_px, strict=True)], np.float32)[:, None]
    low, high = moved_box(poses, boxes + margins * np.array([-1, -1, 1, 1], np.float32))
    low = np.maximum(np.floor(low), 0).astype(int)
    high = np.minimum(np.ceil(high), np.array(size[::-1])).astype(int)
    back = window_pose(invert(poses), low, [t.model.corner for t in tracks])
    softness = np.minimum(tuning.least_softness_px + tuning.softness_per_px * shifts_px, tuning.most_softness_px)
    steepness = scale_of(poses) / softness.astype(np.float32)
    return [
        _Place((x0, y0, x1, y1), pose, steep)
        for (x0, y0), (x1, y1), pose, steep in zip(low.tolist(), high.tolist(), back, steepness, strict=True)
    ]


def _margin_px(track: Track, shift_px: float, tuning: CompositingTuning) -> float:
    """How far around its box an object may be, having moved so far since its keyframe [work px]."""
    model = track.model
    if model.unobserved is None:
        return tuning.window_margin_px
    most_entered_px = shift_px + tuning.window_margin_px  # what moves shows no more of itself at the border
    return max(model.reappearance_px, min(model.growth_px, most_entered_px)) - 2


def _render(track: Track, place: _Place, image: WorkImage, tuning: CompositingTuning) -> Layer | None:
    """The layer of one object; None = what is there does not look like it."""
    model, back = track.model, place.back
    x0, y0, _, _ = place.window
    distance = _warp(model.distance, back, place.size, FAR_OUTSIDE)
    if track.still:
        return Layer(track, x0, y0, np.where(distance > 0, tuning.certain, -tuning.certain).astype(np.float32))
    log_odds = _clip(distance * place.steepness, -tuning.most_outside, tuning.most_inside)
    if track.misses:
        log_odds = np.minimum(log_odds, np.float32(tuning.missed_limit)) - np.float32(tuning.missed_penalty)
    elif track.inlier_share < tuning.guess_share:
        log_odds = np.minimum(log_odds, np.float32(tuning.guess_limit))
    appearance, differs = _appearance(track, image, place, distance, tuning)
    unobserved = _unobserved(track, distance < 0, differs & (appearance > tuning.disocclusion_log_odds), back)
    if unobserved is not None:
        log_odds = np.where(unobserved, _beyond(track, distance, place, tuning), log_odds)
    log_odds += _color_factor(track, distance, unobserved, tuning) * appearance
    if track.mismatched and _share_positive(appearance[log_odds > 0]) < tuning.least_support:
        return None
    if unobserved is not None:
        _drop_unconnected(log_odds, distance > tuning.connection_px)
    return Layer(track, x0, y0, log_odds)


def _beyond(
    track: Track, distance: NDArray[np.float32], place: _Place, tuning: CompositingTuning
) -> NDArray[np.float32]:
    """Log-odds where the keyframe does not show whether the object goes on, (h, w)."""
    model, reach = track.model, distance
    if model.amodal_distance is not model.distance:
        reach = _warp(model.amodal_distance, place.back, place.size, FAR_OUTSIDE)
    slope = tuning.unobserved_slope_border if model.touches_border else tuning.unobserved_slope_occluded
    return np.float32(tuning.unobserved_log_odds) + np.minimum(reach, np.float32(0)) * np.float32(slope)


def _clip(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """In place."""
    return np.minimum(np.maximum(values, np.float32(low), out=values), np.float32(high), out=values)


def _share_positive(values: NDArray[np.float32]) -> float:
    return float(np.count_nonzero(values > 0) / max(values.size, 1))


def _warp(image: NDArray[Any], back: Poses, size: tuple[int, int], outside: float | None) -> NDArray[Any]:
    """Move a crop of the keyframe to a window of size (w, h); `outside` None repeats the border."""
    mode = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, back, size, flags=flags, borderMode=mode, borderValue=outside or 0.0)


def _unobserved(
    track: Track, outside: NDArray[np.bool_], disoccluded: NDArray[np.bool_], back: Poses
) -> NDArray[np.bool_] | None:
    """Where the object may go on although the keyframe does not show it, bool (h, w); None = nowhere.

    Args:
        track: The object.
        outside: Where the keyframe does not show it.
        disoccluded: Where the frame shows the object's colours and the keyframe showed something else.
        back: (2, 3): from the window to the model's crop.
    """
    model = track.model
    unobserved = None if model.unobserved is None else _warp(model.unobserved, back, outside.shape[::-1], 0.0) > 0.5
    if not track.misses and disoccluded.any():
        unobserved = disoccluded if unobserved is None else unobserved | disoccluded
    return None if unobserved is None else unobserved & outside


def _color_factor(
    track: Track, distance: NDArray[np.float32], unobserved: NDArray[np.bool_] | None, tuning: CompositingTuning
) -> NDArray[np.float32]:
    """How much the appearance of each pixel counts, (h, w)."""
    misfit = max(track.cost - tuning.edge_cost, 0.0) * track.model.colors.trust
    edge = min(tuning.edge_factor + tuning.edge_factor_per_level * misfit, tuning.color_factor)
    factor = np.where(distance > tuning.edge_px, np.float32(tuning.color_factor), np.float32(edge))
    if unobserved is not None:
        factor[unobserved] = tuning.color_factor
    return factor


def _appearance(
    track: Track, image: WorkImage, place: _Place, distance: NDArray[np.float32], tuning: CompositingTuning
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Evidence of the current frame: colours everywhere, and inside also the likeness to the keyframe.

    Returns:
        The evidence (h, w), and where the frame shows something else than the keyframe.
    """
    x0, y0, x1, y1 = place.window
    colors = cv2.blur(track.model.colors.log_odds.take(image.color_index[y0:y1, x0:x1]), (3, 3))
    template = _warp(track.model.color, place.back, place.size, None)
    difference = cv2.absdiff(template, image.color[y0:y1, x0:x1])
    mean = cv2.transform(difference, THIRDS)
    likeness = np.float32(tuning.likeness_levels) - cv2.blur(mean.astype(np.float32), (3, 3))
    likeness = _clip(likeness * np.float32(1 / tuning.likeness_scale), -tuning.most_unlike, tuning.most_like)
    if not track.misses:
        likeness = np.where(colors > tuning.least_color_log_odds, np.maximum(colors, likeness), likeness)
    return np.where(distance > 0, likeness, colors), mean > tuning.disocclusion_levels


def _drop_unconnected(log_odds: NDArray[np.float32], seen: NDArray[np.bool_]) -> None:
    """Take back growth that hangs on nothing that was seen."""
    count, components = cv2.connectedComponents((log_odds > 0).astype(np.uint8), connectivity=4)
    if count > 2:
        keep = np.zeros(count, bool)
        keep[components[seen]] = True
        log_odds[~keep[components]] = -1


def duplicates_among(layers: Sequence[Layer], tuning: CompositingTuning) -> list[Layer]:
    """Layers of objects that the network missed where it found one that answers the same prompt: these are the same
    object, which got a second track when the first one had lost it."""
    found = [layer for layer in layers if not layer.track.misses]
    missed = [layer for layer in layers if layer.track.misses]
    least = tuning.duplicate_iou
    return [m for m in missed if any(m.track.prompts & f.track.prompts and _overlap(m, f) > least for f in found)]


def _overlap(a: Layer, b: Layer) -> float:
    """Intersection over union of what two objects claim."""
    shared = _common_windows(a, b)
    if shared is None:
        return 0.0
    joint = int(np.count_nonzero((a.log_odds[shared[0]] > 0) & (b.log_odds[shared[1]] > 0)))
    union = int(np.count_nonzero(a.log_odds > 0)) + int(np.count_nonzero(b.log_odds > 0)) - joint
    return joint / max(union, 1)


def _common_windows(a: Layer, b: Layer) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """The part that two windows have in common, as index of either; None = none."""
    (a_rows, a_columns), (b_rows, b_columns) = a.window, b.window
    y0, y1 = max(a_rows.start, b_rows.start), min(a_rows.stop, b_rows.stop)
    x0, x1 = max(a_columns.start, b_columns.start), min(a_columns.stop, b_columns.stop)
    if y1 <= y0 or x1 <= x0:
        return None
    in_a, in_b = ((slice(y0 - c.y0, y1 - c.y0), slice(x0 - c.x0, x1 - c.x0)) for c in (a, b))
    return in_a, in_b


@dataclass(frozen=True, eq=False)
class Composite:
    """Who owns which pixel of one frame.

    Args:
        owner: int16 (h, w): 1-based index into `layers`, 0 = none.
        layers: What each object claimed.
        margins: By how much each object wins over all others and over nothing, float32 (h, w) of its window.
    """

    owner: NDArray[np.int16]
    layers: tuple[Layer, ...]
    margins: tuple[NDArray[np.float32], ...]


def composite_of(layers: Sequence[Layer], size: tuple[int, int]) -> Composite:
    """Give every pixel to the object with the highest log-odds; this also decides who is in front.

    Args:
        layers: The layers.
        size: (h, w) of the work image.
    """
    best = np.zeros(size, np.float32)
    second = np.zeros(size, np.float32)
    owner = np.zeros(size, np.int16)
    for number, layer in enumerate(layers, 1):
        window, log_odds = layer.window, layer.log_odds
        before = best[window]
        wins = log_odds > before
        second[window] = np.maximum(second[window], np.where(wins, before, log_odds))
        owner[window][wins] = number
        best[window] = np.where(wins, log_odds, before)
    margins = []
    for number, layer in enumerate(layers, 1):
        if layer.track.nested:
            rival = _rivals(layer, layers)
        else:
            rival = np.where(owner[layer.window] == number, second[layer.window], best[layer.window])
        margins.append(layer.log_odds - rival)
    return Composite(owner, tuple(layers), tuple(margins))


def _rivals(layer: Layer, layers: Sequence[Layer]) -> NDArray[np.float32]:
    """Highest log-odds of all others that do not share pixels with this object by nature."""
    rival = np.zeros_like(layer.log_odds)
    for other in layers:
        if other is layer or other.track.track_id in layer.track.nested:
            continue
        shared = _common_windows(layer, other)
        if shared is not None:
            part = rival[shared[0]]
            np.maximum(part, other.log_odds[shared[1]], out=part)
    return rival


def to_mask(margin: NDArray[np.float32], x0: int, y0: int, image: WorkImage) -> Mask | None:
    """Draw a margin (h, w) [log-odds], whose window starts at (x0, y0) [work px], at the camera's resolution.

    Returns:
        None where nothing is inside.
    """
    left, top, width, height = cv2.boundingRect((margin > 0).astype(np.uint8))
    if width == 0:
        return None
    top, left = max(top - 2, 0), max(left - 2, 0)
    part = margin[top : top + height + 4, left : left + width + 4]
    x0, y0 = x0 + left, y0 + top
    scale_y, scale_x = image.camera_scale
    h, w = part.shape
    cam_x0, cam_x1 = int(x0 * scale_x), min(int(np.ceil((x0 + w) * scale_x)), image.camera_size[1])
    cam_y0, cam_y1 = int(y0 * scale_y), min(int(np.ceil((y0 + h) * scale_y)), image.camera_size[0])
    to_work = np.array(
        [
            [1 / scale_x, 0, (cam_x0 + 0.5) / scale_x - 0.5 - x0],
            [0, 1 / scale_y, (cam_y0 + 0.5) / scale_y - 0.5 - y0],
        ],
        np.float32,
    )
    level = np.minimum(np.maximum(part, -MOST_DRAWN), MOST_DRAWN) * np.float32(LEVELS_PER_UNIT) + np.float32(128)
    drawn = _warp(np.rint(level).astype(np.uint8), to_work, (cam_x1 - cam_x0, cam_y1 - cam_y0), None)
    probability = np.asarray(cv2.LUT(drawn, PROBABILITY_OF_LEVEL), np.uint8)
    mask = Mask(cam_x0, cam_y0, probability, image.camera_size)
    return mask if mask.area else None
