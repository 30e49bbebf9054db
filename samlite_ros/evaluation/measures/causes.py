"""Why masks that come from an earlier image are wrong: by what that image showed of the thing."""

from __future__ import annotations

from collections.abc import Sequence

from samlite_ros.evaluation.measures.sightings import Sighting
from samlite_ros.scenes.hard_sequences import TruthFrame

CAUSES = ("not in the keyframe", "partly in the keyframe", "partly hidden now", "whole")
"""The first cannot be avoided."""
IN_KEYFRAME_PX = 60
"""A thing of fewer pixels is not in the keyframe."""


def cause_of(thing: int, whole: bool, keyframe: TruthFrame | None) -> int:
    """Index into CAUSES.

    Args:
        thing: Its id.
        whole: It is wholly in sight now.
        keyframe: The truth of the image that the answer comes from; None = of none.
    """
    if keyframe is None or thing not in keyframe.masks or keyframe.masks[thing].area < IN_KEYFRAME_PX:
        return 0
    if thing not in keyframe.whole:
        return 1
    return 3 if whole else 2


def error_by_cause(sightings: Sequence[Sighting]) -> list[float]:
    """Share of the mean error (1 - IoU) that each of CAUSES has."""
    return [sum(1 - s.iou for s in sightings if s.cause == c) / max(len(sightings), 1) for c in range(len(CAUSES))]
