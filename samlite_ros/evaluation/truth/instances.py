"""What is really there in one image, as all evaluators take it: from annotations, or from a map of ids."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.types import Mask


@dataclass(frozen=True, eq=False)
class TrueInstance:
    """One thing that is there.

    Args:
        mask: Its visible pixels.
        track_id: Stays with the thing over frames; 0 = not known.
        crowd: A region that may be found or not, in any number.
        ignored: Counts neither for nor against, and is found once at most: too small, say.
        whole: It is wholly in the image, and nothing hides it.
    """

    mask: Mask
    track_id: int = 0
    crowd: bool = False
    ignored: bool = False
    whole: bool = True


def instances_of_ids(
    ids: NDArray[np.uint8], things: Iterable[int], least_px: int = 0, whole: Collection[int] | None = None
) -> list[TrueInstance]:
    """Things of a map of ids.

    Args:
        ids: uint8 (H, W): the thing seen at each pixel.
        things: Ids of those that are asked for; they become the track ids.
        least_px: Smaller ones are ignored [px].
        whole: Those that are wholly in sight; None = all.
    """
    masks = {thing: mask_from_array(ids == thing) for thing in things}
    return _instances(masks, least_px, masks if whole is None else whole)


def instances_of_frame(truth: TruthFrame, least_px: int) -> list[TrueInstance]:
    """All things of a frame of a sequence; those of less than `least_px` pixels are ignored."""
    return _instances(truth.masks, least_px, truth.whole)


def _instances(masks: dict[int, Mask], least_px: int, whole: Collection[int]) -> list[TrueInstance]:
    return [
        TrueInstance(mask, thing, ignored=mask.area < least_px, whole=thing in whole) for thing, mask in masks.items()
    ]
