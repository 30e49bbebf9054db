"""What an image's stamp says: whose time it is, and whether the image follows on the one before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from samlite_ros.types import NO_STAMP


class StampOrder(Enum):
    """On an image, by its stamp."""

    NEWER = "image follows on the one before"
    REPEATED = "image has the stamp of the one before"
    OLDER = "image is older than the one before: time went back"
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
        """The header's stamp, or else the time of arrival [ns]."""
        return cls(header_ns) if header_ns > NO_STAMP else cls(arrival_ns, True)

    def after(self, last_ns: int) -> StampOrder:
        """What it says after an image of this stamp [ns]; NO_STAMP = it is the first one."""
        if self.ns <= NO_STAMP:
            return StampOrder.NO_TIME
        if last_ns == NO_STAMP or self.ns > last_ns:
            return StampOrder.NEWER
        return StampOrder.REPEATED if self.ns == last_ns else StampOrder.OLDER
