"""Do the track ids stay with the things, over the whole sequence? IDF1, switches, fragmentations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from samlite_ros.evaluation.measures.cases import Case
from samlite_ros.evaluation.measures.matching import MORE_THAN_HALF, assign
from samlite_ros.evaluation.measures.sightings import Sighting

UNTRACKED = 0
"""Track id of an instance that belongs to no track."""


class IdentityCounts(NamedTuple):
    """Detections by identity: right, too many, missed. They add up over sequences."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def idf1(self) -> float:
        """2 TP / (2 TP + FP + FN); NaN where there is nothing to count."""
        total = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / total if total else float("nan")


def count_identities(cases: Iterable[Case], iou_threshold: float = 0.5) -> IdentityCounts:
    """Count detections under the one-to-one assignment of true to found tracks that explains most of them.

    Args:
        cases: One camera and one phrase, every frame once; a track is at most once in a frame. What was found in a
            crowd region, or is ignored, counts for nothing.
        iou_threshold: Least overlap for a detection to be of the true thing.

    Source: Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, 2016.
    """
    together: Counter[tuple[int, int]] = Counter()
    n_found = n_true = 0
    for case in cases:
        counted = ~case.match(iou_threshold).ignored
        ious = case.ious[counted][:, case.counted]
        found, true = case.found_tracks[counted], case.true_tracks[case.counted]
        n_found, n_true = n_found + len(found), n_true + len(true)
        for d, g in zip(*np.nonzero(ious >= iou_threshold), strict=True):
            together[int(true[g]), int(found[d])] += 1
    return _identities(together, n_found, n_true)


def count_sighted_identities(sightings: Sequence[Sighting]) -> IdentityCounts:
    """The same where only the instance counts that covers a thing best: what is found elsewhere is not too many."""
    matched = Counter((s.thing, s.track_id) for s in sightings if s.iou >= MORE_THAN_HALF)
    return _identities(matched, sum(s.track_id > 0 for s in sightings), len(sightings))


def _identities(together: Counter[tuple[int, int]], n_found: int, n_true: int) -> IdentityCounts:
    """From how often each true track (first) was where each found track was."""
    tracked = {pair: count for pair, count in together.items() if UNTRACKED not in pair}
    rows = {t: i for i, t in enumerate(sorted({t for t, _ in tracked}))}
    columns = {f: i for i, f in enumerate(sorted({f for _, f in tracked}))}
    counts = np.zeros((len(rows), len(columns)))
    for (true_track, found_track), count in tracked.items():
        counts[rows[true_track], columns[found_track]] = count
    right = int(counts[assign(counts)].sum())
    return IdentityCounts(right, n_found - right, n_true - right)


def count_switches(sightings: Iterable[Sighting]) -> int:
    """How often a thing's track id changed; sightings by time."""
    ids: dict[int, list[int]] = {}
    for s in sightings:
        if s.iou >= MORE_THAN_HALF and s.track_id != UNTRACKED:
            ids.setdefault(s.thing, []).append(s.track_id)
    return sum(before != after for track_ids in ids.values() for before, after in pairwise(track_ids))


def count_fragmentations(sightings: Sequence[Sighting]) -> int:
    """How often a thing that is in sight was lost and found again; sightings by time."""
    count = 0
    for thing in {s.thing for s in sightings}:
        covered = [s.iou >= MORE_THAN_HALF for s in sightings if s.thing == thing]
        found_again = [not before and after for before, after in pairwise(covered)]
        count += sum(again and any(covered[:at]) for at, again in enumerate(found_again))
    return count


def is_tracked(cases: Iterable[Case]) -> bool:
    """True where both sides name tracks: without them IDF1 says nothing."""
    found = true = False
    for case in cases:
        found = found or bool((case.found_tracks != UNTRACKED).any())
        true = true or bool((case.true_tracks != UNTRACKED).any())
    return found and true
