"""What an image's stamp says: whose time it is, and whether the image follows on the one before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from samlite_ros.types import NO_STAMP

IMPOSSIBLE_NS = -1
"""Stands for a stamp in a message's header that holds no time."""


class StampOrder(Enum):
    """On an image, by its stamp."""

    NEWER = "image follows on the one before"
    REPEATED = "image has the stamp of the one before"
    OLDER = "image is older than the one before: time went back"
    IMPOSSIBLE = "image has a stamp that is none: before 0, beyond 2038, or of a second and more of nanoseconds"
    NO_TIME = "image has no stamp, and the node's clock shows no time: with use_sim_time it needs /clock"


@dataclass(frozen=True)
class Stamp:
    """When an image was taken.

    Args:
        ns: Its time [ns].
        is_arrival: Its driver set none: the time of its arrival stands in for it.
    """

    ns: int
    is_arrival: bool = False

    @classmethod
    def of(cls, header_ns: int, arrival_ns: int) -> Stamp:
        """The header's stamp, or where it is not set the time of arrival [ns]; IMPOSSIBLE_NS stays."""
        return cls(arrival_ns, True) if header_ns == NO_STAMP else cls(header_ns)

    def after(self, last_ns: int) -> StampOrder:
        """What it says after an image of this stamp [ns]; NO_STAMP = it is the first one."""
        if self.ns < NO_STAMP and not self.is_arrival:
            return StampOrder.IMPOSSIBLE
        if self.ns <= NO_STAMP:
            return StampOrder.NO_TIME
        if last_ns == NO_STAMP or self.ns > last_ns:
            return StampOrder.NEWER
        return StampOrder.REPEATED if self.ns == last_ns else StampOrder.OLDER
