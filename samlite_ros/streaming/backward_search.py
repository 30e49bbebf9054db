"""Which kept keyframe to look at next for one prompt, so that it is soon known when it was seen last.

Further and further back until it is found, twice as far each time, and then in the middle of what was left out; from
there on between where it was found and where it was looked for in vain since: when a thing left that left once is known
to the keyframe after some logarithm of their number. What remains is looked at too, newest first, for it may have come
back meanwhile: each keyframe once at the most, none older than where it was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


class BackwardSearch:
    """The search of one prompt.

    Args:
        before_ns: Only older keyframes than this count [ns].
    """

    def __init__(self, before_ns: int) -> None:
        self._before_ns = before_ns
        self._vain_ns: set[int] = set()
        self._seen_ns: int | None = None

    def next_ns(self, kept_ns: Sequence[int]) -> int | None:
        """Stamp of the keyframe to look at next [ns]; None = nothing remains.

        Args:
            kept_ns: Stamps of the keyframes that are kept, newest first [ns].
        """
        oldest_ns = -1 if self._seen_ns is None else self._seen_ns
        left = [ns for ns in kept_ns if oldest_ns < ns < self._before_ns and ns not in self._vain_ns]
        if not left:
            return None
        if self._seen_ns is None:
            step = 2 ** len(self._vain_ns) - 1
            return left[step] if step < len(left) else _middle(self._widest_gap(left))
        since_ns = min((ns for ns in self._vain_ns if ns > oldest_ns), default=self._before_ns)
        between = [ns for ns in left if ns < since_ns]
        return _middle(between) if between else left[0]

    def _widest_gap(self, left: Sequence[int]) -> Sequence[int]:
        """The most neighbours among these between which none was looked at."""
        bounds = [n for n in range(1, len(left)) if any(left[n] < ns < left[n - 1] for ns in self._vain_ns)]
        gaps = [left[start:stop] for start, stop in pairwise([0, *bounds, len(left)])]
        return max(gaps, key=len)

    def note(self, stamp_ns: int, found: bool) -> None:
        """The keyframe of a stamp [ns] was looked at."""
        if found:
            self._seen_ns = max(stamp_ns, self._seen_ns or stamp_ns)
        else:
            self._vain_ns.add(stamp_ns)


def _middle(stamps_ns: Sequence[int]) -> int:
    return stamps_ns[len(stamps_ns) // 2]
