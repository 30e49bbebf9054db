"""What stands at each true frame while answers go by: what the robot knew at that moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Standing(Generic[T]):
    """One camera's frames; `newest` is what was published last, to be set after `until` was asked.

    Args:
        stamps_ns: Of the true frames, growing [ns].
        newest: What was published last.
    """

    stamps_ns: Sequence[int]
    newest: T | None = None
    _seen: int = field(default=0, init=False)

    def until(self, before_ns: int | None) -> Iterator[tuple[int, T | None]]:
        """The frames up to a moment that were not seen yet, with what stands at them; None = to the end."""
        while self._seen < len(self.stamps_ns) and (before_ns is None or self.stamps_ns[self._seen] < before_ns):
            self._seen += 1
            yield self.stamps_ns[self._seen - 1], self.newest
