"""The network's worker looks back: kept embeddings of all cameras, and what is still to be looked for in them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from samlite_ros.errors import Cancelled
from samlite_ros.live.job_source import JobSource
from samlite_ros.live.network_counters import NetworkCounters
from samlite_ros.network.local import Between, Network
from samlite_ros.segmenter.contract import ImageEmbedding
from samlite_ros.streaming.recall import MOST_AT_ONCE, BusyShare, RecallJob
from samlite_ros.streaming.ring import EmbeddingRing, Memory

LEARNT = 0.3
"""Weight of the newest look in what one takes."""


class Recalling:
    """Used by the network's thread, but for `memory`, which anybody may set.

    Args:
        sources: The cameras; each has the same share of the memory.

    Attributes:
        memory: How much is kept, from the next keyframe on.
        looks: Looks into kept keyframes so far.
    """

    def __init__(self, sources: Sequence[JobSource]) -> None:
        self.memory = Memory()
        self.looks = 0
        self._kept_as = self.memory
        self._sources = list(sources)
        self._rings: dict[str, EmbeddingRing] = {}
        self._share = BusyShare()
        self._cost_s = 0.0

    @property
    def keyframes(self) -> int:
        """Number of keyframes that are kept."""
        return sum(map(len, self._rings.values()))

    @property
    def bytes(self) -> int:
        """Memory that they take."""
        return sum(ring.bytes for ring in self._rings.values())

    def tell(self, counters: NetworkCounters) -> None:
        """Write down what is kept, and how often it was looked at."""
        counters.remembered, counters.remembered_bytes, counters.looks_back = self.keyframes, self.bytes, self.looks

    def clear(self) -> None:
        """Give all of it back."""
        self._rings.clear()

    def forget(self, camera: str) -> None:
        """Give back what is kept of a camera."""
        self._rings.pop(camera, None)

    def note_pass(self, image: ImageEmbedding, took_s: float, phrase_s: float) -> None:
        """A pass embedded an image.

        Args:
            image: The image.
            took_s: How long the pass took [s].
            phrase_s: How long one of its phrases took to decode [s].
        """
        if self.memory != self._kept_as:
            self._kept_as = self.memory
            self.clear()
        memory = self._kept_as
        if memory.remember_s <= 0:
            return
        if image.camera not in self._rings:
            self._rings[image.camera] = EmbeddingRing(memory.remember_s, memory.most_bytes // len(self._sources))
        self._rings[image.camera].add(image)
        self._cost_s = self._cost_s or phrase_s
        self._share.note_pass(took_s, self._cost_s)

    @property
    def may_hurry(self) -> bool:
        """Looking back may hold up what is better to do now: it has not for long."""
        return bool(self._rings) and self._share.pays_for(self._cost_s)

    def look_back(self, network: Network, between: Between, hurry: bool = False) -> bool:
        """Look for prompts in one kept keyframe; returns whether there was something to look for.

        Args:
            network: Decodes.
            between: Called between the parts; what it raises ends the look, which is begun anew another time.
            hurry: Something else waits: one prompt only.

        Raises:
            Exception: What the network raises; the look counts as done.
        """
        for source in self._sources:
            ring = self._rings.get(source.camera)
            few = 1 if hurry or not network.interruptible else MOST_AT_ONCE
            job = source.take_recall(ring.stamps_ns, few) if ring else None
            image = ring.get(job.stamp_ns) if ring and job else None
            if job is None or image is None:
                continue
            self._sources.remove(source)
            self._sources.append(source)
            began_s = time.monotonic()
            try:
                self._look(network, source, job, image, between)
            finally:
                self._share.spend(hurry * (time.monotonic() - began_s))
            return True
        return False

    def _look(
        self, network: Network, source: JobSource, job: RecallJob, image: ImageEmbedding, between: Between
    ) -> None:
        began_s = time.monotonic()
        try:
            found = network.decode(image, job.prompts, job.options, between)
        except Cancelled:
            raise
        except Exception:
            source.recalled(job, ())
            raise
        each_s = (time.monotonic() - began_s) / len(job.prompts)
        self._cost_s = (1 - LEARNT) * self._cost_s + LEARNT * each_s
        self.looks += 1
        source.recalled(job, found.results)
