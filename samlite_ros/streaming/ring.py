"""The embeddings of a camera's last keyframes, spread over some seconds and within some memory."""

from __future__ import annotations

from dataclasses import dataclass

from samlite_ros.segmenter.contract import ImageEmbedding

MOST_KEPT = 64
"""So many keyframes of a camera at most."""


@dataclass(frozen=True)
class Memory:
    """How much of the past is kept.

    Args:
        remember_s: Keyframes of so long [s]; 0 = none.
        most_bytes: Memory of all cameras' together.
    """

    remember_s: float = 0.0
    most_bytes: int = 0


class EmbeddingRing:
    """Keyframes of one camera, none older than so long before the newest, evenly spread where memory is short.

    Args:
        remember_s: How long [s].
        most_bytes: Memory of all of them.
    """

    def __init__(self, remember_s: float, most_bytes: int) -> None:
        self._remember_ns, self._most_bytes = round(remember_s * 1e9), most_bytes
        self._kept: dict[int, ImageEmbedding] = {}

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """Memory that they take."""
        return sum(image.bytes for image in self._kept.values())

    @property
    def stamps_ns(self) -> list[int]:
        """Of all of them, newest first [ns]."""
        return list(reversed(self._kept))

    def get(self, stamp_ns: int) -> ImageEmbedding | None:
        """That of a stamp."""
        return self._kept.get(stamp_ns)

    def add(self, image: ImageEmbedding) -> None:
        """A keyframe was embedded: it is kept, or too near to the one before. Another size or time begins anew."""
        most = min(self._most_bytes // max(image.bytes, 1), MOST_KEPT)
        if not self._continues(image) or most < 1:
            self._kept.clear()
        oldest_ns = image.stamp_ns - self._remember_ns
        self._kept = {stamp_ns: kept for stamp_ns, kept in self._kept.items() if stamp_ns >= oldest_ns}
        newest_ns = next(reversed(self._kept), None)
        if most < 1 or (newest_ns is not None and image.stamp_ns - newest_ns < self._remember_ns / most):
            return
        while self._kept and (len(self._kept) >= most or self.bytes + image.bytes > self._most_bytes):
            del self._kept[next(iter(self._kept))]
        self._kept[image.stamp_ns] = image

    def _continues(self, image: ImageEmbedding) -> bool:
        newest_ns = next(reversed(self._kept), None)
        if newest_ns is None:
            return True
        before = self._kept[newest_ns]
        return newest_ns < image.stamp_ns and (before.size, before.model_id) == (image.size, image.model_id)
