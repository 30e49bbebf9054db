"""Which of the worst frames to show: those that are next to one another show the same thing."""

from __future__ import annotations

from collections.abc import Sequence

from samlite_ros.bags.results import FrameKey


def spread(ranked: Sequence[FrameKey], span_ns: int, count: int) -> list[FrameKey]:
    """Choose frames that lie apart.

    Args:
        ranked: The worst first.
        span_ns: How long the recording is [ns].
        count: How many to choose.

    Returns:
        Those of each camera at least half as far apart as if they were spread evenly; where these are not enough, those
        between them too. The worst first.
    """
    gap_ns = span_ns / (2 * max(count, 1))
    chosen: list[FrameKey] = []
    for key in ranked:
        if all(key.camera != other.camera or abs(key.stamp_ns - other.stamp_ns) >= gap_ns for other in chosen):
            chosen.append(key)
    between = [key for key in ranked if key not in set(chosen)]
    kept = set((chosen + between)[:count])
    return [key for key in ranked if key in kept]
