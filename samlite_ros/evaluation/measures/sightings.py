"""One true thing in one frame, with what covers it best: the unit of the measures over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from samlite_ros.evaluation.measures.cases import Case


@dataclass(frozen=True)
class Sighting:
    """One thing in one frame.

    Args:
        frame: Number of the frame.
        thing: Its id.
        iou: Overlap with the found instance that covers it best.
        whole: It is wholly in the image and nothing hides it.
        track_id: Of that instance; 0 = none.
        cause: Why it is not covered better: index into `causes.CAUSES`.
    """

    frame: int
    thing: int
    iou: float
    whole: bool
    track_id: int
    cause: int


def sightings_of(frame: int, case: Case, cause_of: Callable[[int, bool], int]) -> list[Sighting]:
    """Everything in a frame that counts.

    Args:
        frame: Number of the frame.
        case: What was found in it, against what is there.
        cause_of: Given a thing, and whether it is whole.
    """
    sightings = []
    for g in np.flatnonzero(case.counted):
        best = int(case.ious[:, g].argmax()) if len(case.ious) else -1
        iou = float(case.ious[best, g]) if best >= 0 else 0.0
        thing, whole = int(case.true_tracks[g]), bool(case.whole[g])
        track_id = int(case.found_tracks[best]) if iou > 0 else 0
        sightings.append(Sighting(frame, thing, iou, whole, track_id, cause_of(thing, whole)))
    return sightings
