"""One phrase on one frame, found against true: the unit that every measure is built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from samlite_ros.evaluation.measures.contours import contour_f
from samlite_ros.evaluation.measures.matching import Match, assign, iou_matrix, match_greedily
from samlite_ros.evaluation.truth.instances import TrueInstance
from samlite_ros.types import Mask


@dataclass(frozen=True, eq=False)
class FoundInstance:
    """What an answer says of one thing, for one phrase.

    Args:
        mask: The mask.
        score: Score for this phrase, 0 to 1.
        track_id: 0 = not tracked.
        age_ms: Age of the knowledge behind it [ms].
        optional: Not wrong where nothing is: too small, say.
    """

    mask: Mask
    score: float
    track_id: int = 0
    age_ms: float = 0.0
    optional: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """One phrase on one frame: D instances found, G true ones. Holds no masks, so that a long bag fits.

    Args:
        stamp_ns, camera, phrase: What it is about.
        scores: float64 (D,).
        found_tracks: int64 (D,).
        ages_ms: float64 (D,).
        optional: bool (D,).
        true_tracks: int64 (G,).
        true_areas: int64 (G,) [px].
        crowd, ignored, whole: bool (G,).
        ious: float64 (D, G); see `matching.iou_matrix`.
        region_j: float64 (G,): overlap with the assigned found instance, 0 = none; NaN for what does not count.
        contour_f: float64 (G,): the same for the contour; NaN where it was not asked for.
    """

    stamp_ns: int
    camera: str
    phrase: str
    scores: NDArray[np.float64]
    found_tracks: NDArray[np.int64]
    ages_ms: NDArray[np.float64]
    optional: NDArray[np.bool_]
    true_tracks: NDArray[np.int64]
    true_areas: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    ious: NDArray[np.float64]
    region_j: NDArray[np.float64]
    contour_f: NDArray[np.float64]

    @property
    def counted(self) -> NDArray[np.bool_]:
        """bool (G,): true instances that are to be found."""
        return ~(self.crowd | self.ignored)

    def match(self, iou_threshold: float = 0.5) -> Match:
        """COCO's matching; see `matching.match_greedily`."""
        match = match_greedily(self.scores, self.ious, self.crowd, self.ignored, iou_threshold)
        return replace(match, ignored=match.ignored | ((match.truth_of < 0) & self.optional))

    def best(self, limit: int) -> Case:
        """The same with the `limit` best found instances at most, in falling order of score."""
        order = np.argsort(-self.scores, kind="stable")[:limit]
        found = {name: getattr(self, name)[order] for name in ("scores", "found_tracks", "ages_ms", "optional", "ious")}
        return replace(self, **found)


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
    ignored = np.array([t.ignored for t in truth], bool)
    ious = iou_matrix([f.mask for f in found], [t.mask for t in truth], crowd)
    outside = crowd | ignored
    region, contour = np.where(outside, np.nan, 0.0), np.where(outside | (not contours), np.nan, 0.0)
    kept = np.flatnonzero(~outside)
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
        optional=np.array([f.optional for f in found], bool),
        true_tracks=np.array([t.track_id for t in truth], np.int64),
        true_areas=np.array([t.mask.area for t in truth], np.int64),
        crowd=crowd,
        ignored=ignored,
        whole=np.array([t.whole for t in truth], bool),
        ious=ious,
        region_j=region,
        contour_f=contour,
    )
