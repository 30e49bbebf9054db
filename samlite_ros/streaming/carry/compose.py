"""From poses to masks: which pixel belongs to which object, settled among all objects of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.tracks import Track
from samlite_ros.streaming.image.geometry import Poses, corner_shift_px, invert, moved_box, scale_of, window_pose
from samlite_ros.streaming.image.work_image import WorkImage
from samlite_ros.streaming.model.appearance import FAR_OUTSIDE
from samlite_ros.types import Mask

LEAST_SOFTNESS, MOST_SOFTNESS, SOFTNESS_PER_PX = 0.5, 1.5, 0.15
"""Signed distance [fine px] that counts as one unit of log-odds: for a thing at rest, for one seen from elsewhere, and
how it grows with the way that its corners went since the keyframe [work px]."""
MOST_OUTSIDE, MOST_INSIDE = 8.0, 5.3
"""Largest log-odds from the shape: what the frame shows may still overrule them."""
COLOR_FACTOR = 2.0
"""How much appearance counts against shape, ..."""
EDGE_FACTOR, EDGE_FACTOR_PER_LEVEL, EDGE_COST = 0.15, 0.1, 5.0
"""... and at a border that the keyframe showed, whose place is known better than colours tell: less, and more again by
how much worse than usual the template fits [levels], for then the object does not look as it did."""
EDGE = 2.0
"""Such a border reaches so far into the object [fine px]."""
REVEALED, OTHER_LEVELS = 1.5, 20.0
"""Evidence of colour with which an object goes on where its keyframe showed something else, and how much else [levels]:
it was hidden by a thing that nobody asked for."""
UNLIKE = -3.0
"""Evidence of a pixel that does not look like the keyframe: enough to take away the inside of an object."""
LEAST_EVIDENCE = 0.3
"""Colours that say less leave it to the likeness: those of an unknown thing in front were never seen before."""
WINDOW_MARGIN_PX, LEAST_WINDOW_PX = 7, 2
UNKNOWN_BIAS = -0.5
UNKNOWN_SLOPE_BORDER, UNKNOWN_SLOPE_COVERED = 0.03, 0.12
"""Where the keyframe does not show whether the object goes on: log-odds per fine pixel of distance."""
MISSED_LIMIT, MISSED_MALUS = 3.0, 1.5
"""A thing that the network missed yields its pixels to those that it found."""
GUESSED_LIMIT, GUESSED_SHARE = 3.0, 0.3
"""So does one of which so few template points agree, for it may be hidden by what looks alike, or its place a guess."""
DOUBLE_IOU = 0.4
"""Two claims that overlap more are of one thing."""
CERTAIN = 10.0
"""Log-odds of the pixels of a thing in an unchanged part of the image."""
LEAST_SUPPORT = 0.3
"""An object whose template points disagree is drawn only where so many of its pixels look like it all the same."""
MOST_DRAWN, LEVELS_PER_UNIT = 10.0, 12.7
"""Masks are drawn from log-odds in levels from 1 to 255: 128 = undecided, so many levels per unit."""
PROBABILITY_OF_LEVEL = np.rint(255 / (1 + np.exp((128 - np.arange(256)) / LEVELS_PER_UNIT))).astype(np.uint8)
THIRDS = np.full((1, 3), 1 / 3, np.float32)


@dataclass(frozen=True, eq=False)
class Evidence:
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


def gather_evidence(tracks: Sequence[Track], image: WorkImage) -> list[Evidence]:
    """Shape, colours and template of objects at their poses; those outside the image or not there at all are left
    out."""
    if not tracks:
        return []
    places = _places(tracks, image.size)
    claims = (_claim(t, p, image) for t, p in zip(tracks, places, strict=True) if min(p.size) >= LEAST_WINDOW_PX)
    return [claim for claim in claims if claim is not None]


def _places(tracks: Sequence[Track], size: tuple[int, int]) -> list[_Place]:
    """Where the objects may be in an image of size (h, w)."""
    poses = np.stack([t.pose for t in tracks])
    boxes = np.array([t.model.box_xyxy for t in tracks], np.float32)
    shifts_px = corner_shift_px(poses, boxes)
    margins = np.array([_margin_px(t, s) for t, s in zip(tracks, shifts_px, strict=True)], np.float32)[:, None]
    low, high = moved_box(poses, boxes + margins * np.array([-1, -1, 1, 1], np.float32))
    low = np.maximum(np.floor(low), 0).astype(int)
    high = np.minimum(np.ceil(high), np.array(size[::-1])).astype(int)
    back = window_pose(invert(poses), low, [t.model.corner for t in tracks])
    softness = np.minimum(LEAST_SOFTNESS + SOFTNESS_PER_PX * shifts_px, MOST_SOFTNESS)
    steepness = scale_of(poses) / softness.astype(np.float32)
    return [
        _Place((x0, y0, x1, y1), pose, steep)
        for (x0, y0), (x1, y1), pose, steep in zip(low.tolist(), high.tolist(), back, steepness, strict=True)
    ]


def _margin_px(track: Track, shift_px: float) -> float:
    """How far around its box an object may be, having moved so far since its keyframe [work px]."""
    model = track.model
    if model.unknown is None:
        return WINDOW_MARGIN_PX
    entered_px = min(model.growth_px, shift_px + WINDOW_MARGIN_PX)  # what moves shows no more of itself at the border
    return max(model.reappearance_px, entered_px) - 2


def _claim(track: Track, place: _Place, image: WorkImage) -> Evidence | None:
    """Evidence for one object; None = what is there does not look like it."""
    model, back = track.model, place.back
    x0, y0, _, _ = place.window
    distance = _warp(model.distance, back, place.size, FAR_OUTSIDE)
    if track.still:
        return Evidence(track, x0, y0, np.where(distance > 0, CERTAIN, -CERTAIN).astype(np.float32))
    log_odds = _clip(distance * place.steepness, -MOST_OUTSIDE, MOST_INSIDE)
    if track.misses:
        log_odds = np.minimum(log_odds, np.float32(MISSED_LIMIT)) - np.float32(MISSED_MALUS)
    elif track.share < GUESSED_SHARE:
        log_odds = np.minimum(log_odds, np.float32(GUESSED_LIMIT))
    appearance, differs = _appearance(track, image, place, distance)
    unknown = _unknown(track, distance < 0, differs, appearance, back)
    if unknown is not None:
        slope = UNKNOWN_SLOPE_BORDER if model.touches_border else UNKNOWN_SLOPE_COVERED
        reach = distance if model.reach is model.distance else _warp(model.reach, back, place.size, FAR_OUTSIDE)
        beyond = np.float32(UNKNOWN_BIAS) + np.minimum(reach, np.float32(0)) * np.float32(slope)
        log_odds = np.where(unknown, beyond, log_odds)
    log_odds += _color_factor(track, distance, unknown) * appearance
    if track.in_doubt and _share_positive(appearance[log_odds > 0]) < LEAST_SUPPORT:
        return None
    if unknown is not None:
        _drop_unconnected(log_odds, distance)
    return Evidence(track, x0, y0, log_odds)


def _clip(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """In place."""
    return np.minimum(np.maximum(values, np.float32(low), out=values), np.float32(high), out=values)


def _share_positive(values: NDArray[np.float32]) -> float:
    return float(np.count_nonzero(values > 0) / max(values.size, 1))


def _warp(image: NDArray, back: Poses, size: tuple[int, int], outside: float | None) -> NDArray:
    """Move a crop of the keyframe to a window of size (w, h); `outside` None repeats the border."""
    mode = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, back, size, flags=flags, borderMode=mode, borderValue=outside or 0.0)


def _unknown(
    track: Track,
    outside: NDArray[np.bool_],
    differs: NDArray[np.bool_],
    appearance: NDArray[np.float32],
    back: Poses,
) -> NDArray[np.bool_] | None:
    """Where the object may go on although the keyframe does not show it, bool (h, w); None = nowhere.

    Args:
        track: The object.
        outside: Where the keyframe does not show it.
        differs: Where the frame shows something else than the keyframe.
        appearance: Evidence of the frame.
        back: (2, 3): from the window to the model's crop.
    """
    model = track.model
    unknown = None if model.unknown is None else _warp(model.unknown, back, outside.shape[::-1], 0.0) > 0.5
    revealed = None if track.misses else differs & (appearance > REVEALED)
    if revealed is not None and revealed.any():
        unknown = revealed if unknown is None else unknown | revealed
    return None if unknown is None else unknown & outside


def _color_factor(
    track: Track, distance: NDArray[np.float32], unknown: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """How much the appearance of each pixel counts, (h, w)."""
    misfit = max(track.cost - EDGE_COST, 0.0) * track.model.colors.trust
    edge = min(EDGE_FACTOR + EDGE_FACTOR_PER_LEVEL * misfit, COLOR_FACTOR)
    factor = np.where(distance > EDGE, np.float32(COLOR_FACTOR), np.float32(edge))
    if unknown is not None:
        factor[unknown] = COLOR_FACTOR
    return factor


def _appearance(
    track: Track, image: WorkImage, place: _Place, distance: NDArray[np.float32]
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
    likeness = _clip((14 - cv2.blur(mean.astype(np.float32), (3, 3))) * np.float32(1 / 8), UNLIKE, 1.0)
    if not track.misses:
        likeness = np.where(colors > LEAST_EVIDENCE, np.maximum(colors, likeness), likeness)
    return np.where(distance > 0, likeness, colors), mean > OTHER_LEVELS


def _drop_unconnected(log_odds: NDArray[np.float32], distance: NDArray[np.float32]) -> None:
    """Take back growth that hangs on nothing that was seen."""
    count, components = cv2.connectedComponents((log_odds > 0).astype(np.uint8), connectivity=4)
    if count > 2:
        keep = np.zeros(count, bool)
        keep[components[distance > 1]] = True
        log_odds[~keep[components]] = -1


def doubles_among(evidence: Sequence[Evidence]) -> list[Evidence]:
    """Claims of things that the network missed where it found one that answers the same prompt: these are the same
    thing, which got a second track when the first one had lost it."""
    found = [claim for claim in evidence if not claim.track.misses]
    missed = [claim for claim in evidence if claim.track.misses]
    return [m for m in missed if any(_share_prompt(m, f) and _overlap(m, f) > DOUBLE_IOU for f in found)]


def _share_prompt(a: Evidence, b: Evidence) -> bool:
    return bool({m.prompt for m in a.track.matches} & {m.prompt for m in b.track.matches})


def _overlap(a: Evidence, b: Evidence) -> float:
    """Intersection over union of what two objects claim."""
    shared = _common_windows(a, b)
    if shared is None:
        return 0.0
    joint = int(np.count_nonzero((a.log_odds[shared[0]] > 0) & (b.log_odds[shared[1]] > 0)))
    union = int(np.count_nonzero(a.log_odds > 0)) + int(np.count_nonzero(b.log_odds > 0)) - joint
    return joint / max(union, 1)


def _common_windows(a: Evidence, b: Evidence) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """The part that two windows have in common, as index of either; None = none."""
    (a_rows, a_columns), (b_rows, b_columns) = a.window, b.window
    y0, y1 = max(a_rows.start, b_rows.start), min(a_rows.stop, b_rows.stop)
    x0, x1 = max(a_columns.start, b_columns.start), min(a_columns.stop, b_columns.stop)
    if y1 <= y0 or x1 <= x0:
        return None
    in_a, in_b = ((slice(y0 - c.y0, y1 - c.y0), slice(x0 - c.x0, x1 - c.x0)) for c in (a, b))
    return in_a, in_b


@dataclass(frozen=True, eq=False)
class Settlement:
    """Who owns which pixel of one frame.

    Args:
        owner: int16 (h, w): 1-based index into `evidence`, 0 = none.
        evidence: What each object claimed.
        margins: By how much each object wins over all others and over nothing, float32 (h, w) of its window.
    """

    owner: NDArray[np.int16]
    evidence: tuple[Evidence, ...]
    margins: tuple[NDArray[np.float32], ...]


def settle(evidence: Sequence[Evidence], size: tuple[int, int]) -> Settlement:
    """Give every pixel to the object with the highest log-odds; this also decides who is in front.

    Args:
        evidence: The claims.
        size: (h, w) of the work image.
    """
    best = np.zeros(size, np.float32)
    second = np.zeros(size, np.float32)
    owner = np.zeros(size, np.int16)
    for number, claim in enumerate(evidence, 1):
        window, log_odds = claim.window, claim.log_odds
        before = best[window]
        wins = log_odds > before
        second[window] = np.maximum(second[window], np.where(wins, before, log_odds))
        owner[window][wins] = number
        best[window] = np.where(wins, log_odds, before)
    margins = []
    for number, claim in enumerate(evidence, 1):
        if claim.track.nested:
            rival = _rivals(claim, evidence)
        else:
            rival = np.where(owner[claim.window] == number, second[claim.window], best[claim.window])
        margins.append(claim.log_odds - rival)
    return Settlement(owner, tuple(evidence), tuple(margins))


def _rivals(claim: Evidence, evidence: Sequence[Evidence]) -> NDArray[np.float32]:
    """Highest log-odds of all others that do not share pixels with this object by nature."""
    rival = np.zeros_like(claim.log_odds)
    for other in evidence:
        if other is claim or other.track.track_id in claim.track.nested:
            continue
        shared = _common_windows(claim, other)
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
    scale_y, scale_x = image.camera_size[0] / image.size[0], image.camera_size[1] / image.size[1]
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
