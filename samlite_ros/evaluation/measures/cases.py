"""One phrase on one frame, found against true: the unit that every measure is built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlite_ros.evaluation.measures.contours import contour_f
from samlite_ros.evaluation.measures.matching import assign, iou_matrix
from samlite_ros.types import Mask


@dataclass(frozen=True, eq=False)
class FoundInstance:
    """What an answer says of one thing, for one phrase.

    Args:
        mask: The mask.
        score: Score for this phrase, 0 to 1.
        track_id: 0 = not tracked.
        age_ms: Age of the knowledge behind it [ms].
    """

    mask: Mask
    score: float
    track_id: int = 0
    age_ms: float = 0.0


@dataclass(frozen=True, eq=False)
class TrueInstance:
    """One thing that is there.

    Args:
        mask: Its visible pixels.
        track_id: Stays with the thing over frames; 0 = not known.
        crowd: A region that may be found or not, in any number.
    """

    mask: Mask
    track_id: int = 0
    crowd: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """One phrase on one frame: D instances found, G true ones. Holds no masks, so that a long bag fits.

    Args:
        stamp_ns, camera, phrase: What it is about.
        scores: float64 (D,).
        found_tracks: int64 (D,).
        ages_ms: float64 (D,).
        true_tracks: int64 (G,).
        true_areas: int64 (G,) [px].
        crowd: bool (G,).
        ious: float64 (D, G); see `matching.iou_matrix`.
        region_j: float64 (G,): overlap with the assigned found instance, 0 = none; crowd regions have NaN.
        contour_f: float64 (G,): the same for the contour; NaN where it was not asked for.
    """

    stamp_ns: int
    camera: str
    phrase: str
    scores: NDArray[np.float64]
    found_tracks: NDArray[np.int64]
    ages_ms: NDArray[np.float64]
    true_tracks: NDArray[np.int64]
    true_areas: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    ious: NDArray[np.float64]
    region_j: NDArray[np.float64]
    contour_f: NDArray[np.float64]


def make_case(
    stamp_ns: int,
    camera: str,
    phrase: str,
    found: Sequence[FoundInstance],
    truth: Sequence[TrueInstance],
    contours: bool = True,
) -> Case:
    """Compare what was found with what is there.

    Args:
        stamp_ns, camera, phrase: What it is about.
        found: D instances.
        truth: G instances.
        contours: Compute the contour measure too (the costly part).
    """
    crowd = np.array([t.crowd for t in truth], bool)
    ious = iou_matrix([f.mask for f in found], [t.mask for t in truth], crowd)
    region, contour = np.where(crowd, np.nan, 0.0), np.where(crowd | (not contours), np.nan, 0.0)
    kept = np.flatnonzero(~crowd)
    for d, k in zip(*assign(ious[:, kept]), strict=True):
        g = kept[k]
        region[g] = ious[d, g]
        if contours and ious[d, g] > 0:
            contour[g] = contour_f(found[d].mask, truth[g].mask)
    return Case(
        stamp_ns=stamp_ns,
        camera=camera,
        phrase=phrase,
        scores=np.array([f.score for f in found], float),
        found_tracks=np.array([f.track_id for f in found], np.int64),
        ages_ms=np.array([f.age_ms for f in found], float),
        true_tracks=np.array([t.track_id for t in truth], np.int64),
        true_areas=np.array([t.mask.area for t in truth], np.int64),
        crowd=crowd,
        ious=ious,
        region_j=region,
        contour_f=contour,
    )
