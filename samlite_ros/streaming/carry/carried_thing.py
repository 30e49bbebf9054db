"""What is kept of one thing that is carried."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.reference import Moment, Reference
from samlite_ros.streaming.carry.ways import Claim, Foreseen, Shape, WayRecord
from samlite_ros.streaming.model.thing_colors import ThingColors


@dataclass(eq=False)
class Source:
    """What one keyframe tells of a thing, and the chain that began there.

    Args:
        key: Its shape in the keyframe.
        link: Its shape in a later frame, as refined there.
        colors: Learnt in the keyframe.
        ahead: Frames at which links may still be made before `link` is up to date.
        sure: The motion to the last of these was known well.
        link_camera: (3, 3): how the camera moved, from the link's frame to the keyframe [px]; None = not known.
    """

    key: Reference
    link: Reference
    colors: ThingColors
    ahead: list[Moment] = field(default_factory=list)
    sure: bool = True
    link_camera: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Arrival:
    """A keyframe's mask that was not looked at yet.

    Args:
        mask: bool (H, W).
        moment: The keyframe.
        ahead: Later frames at which links may be made.
    """

    mask: NDArray[np.bool_]
    moment: Moment
    ahead: list[Moment]


@dataclass(frozen=True, eq=False)
class Found:
    """Where a thing was found by other means than its points.

    Args:
        moment: The frame.
        claim: What it covers there.
    """

    moment: Moment
    claim: Claim


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn of a thing when it was last refined.

    Args:
        moment: The frame.
        claim: What was drawn.
        area_px: Its area [px^2].
        chained, alone: Carried from the newest link, and from the keyframe; None = not looked at.
    """

    moment: Moment
    claim: Claim
    area_px: float
    chained: Shape | None
    alone: Shape | None


@dataclass(eq=False)
class CarriedThing:
    """One thing that is carried.

    Args:
        record: How to draw it.
        source: What it is carried from; None = its first keyframe was not looked at yet.
        arrival: The newest keyframe's mask, until it is looked at.
        incoming: What it will be carried from when its chain has caught up.
        found: Where it was found since it was last looked at.
        foreseen: By number of the frame: what was said of frames that the network is looking at.
        drawn: When it was last refined.
        looked: Number of the frame in which it was last looked at.
        is_new: A keyframe's mask was taken in since.
        unrest: How much its shape changes from frame to frame beside its points' motion, as a share.
    """

    record: WayRecord
    source: Source | None = None
    arrival: Arrival | None = None
    incoming: Source | None = None
    found: Found | None = None
    foreseen: dict[int, Foreseen] = field(default_factory=dict)
    drawn: Drawn | None = None
    looked: int = -1
    is_new: bool = False
    unrest: float = 1.0

    @property
    def is_settled(self) -> bool:
        """No late keyframe's chain is still being made up before anything was drawn."""
        return self.drawn is not None or self.source is None or not self.source.ahead

    def note_change(self, share: float) -> None:
        """Its shape was seen to change so much in a frame, on average."""
        self.unrest = (self.unrest + share) / 2

    def moments(self) -> list[Moment]:
        """Frames whose points are still needed."""
        out = [x.moment for x in (self.drawn, self.arrival, self.found) if x is not None]
        out += [] if self.arrival is None else self.arrival.ahead
        for source in (self.source, self.incoming):
            if source is not None:
                out += [source.key.moment, source.link.moment, *source.ahead]
        return out
