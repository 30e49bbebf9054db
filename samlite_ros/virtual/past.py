"""Kept keyframes on the virtual clock, and what is looked for in them where the network has nothing better to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from samlite_ros.segmenter.contract import ImageEmbedding, Segmenter
from samlite_ros.streaming.recall import BusyShare, Recalled, RecallJob
from samlite_ros.streaming.ring import EmbeddingRing
from samlite_ros.types import PromptResult
from samlite_ros.virtual.latency import NEVER, LatencyProfile


class PastSource(Protocol):
    """A camera's stream, seen from who looks back."""

    def take_recall(self, kept_ns: Sequence[int]) -> RecallJob | None:
        """What to look for in kept keyframes."""
        ...

    def recalled(self, job: RecallJob, results: Sequence[PromptResult]) -> list[Recalled]:
        """That is done; returns what was found."""
        ...


@dataclass(frozen=True, eq=False)
class _Look:
    source: PastSource
    job: RecallJob
    image: ImageEmbedding
    ends_ns: int
    hurries: bool


class VirtualPast:
    """Looks back for one prompt at a time; a look gives way to any job, unless it is in a hurry.

    Args:
        segmenter: The network.
        profile: How long it takes.
        sources: By camera.
        rings: By camera.
        on_recall: Called with what was found.

    Attributes:
        looks: Looks that have ended.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        profile: LatencyProfile,
        sources: dict[str, PastSource],
        rings: dict[str, EmbeddingRing],
        on_recall: Callable[[Recalled], object],
    ) -> None:
        self.looks = 0
        self._segmenter, self._profile = segmenter, profile
        self._sources, self._rings, self._on_recall = sources, rings, on_recall
        self._look: _Look | None = None
        self._share = BusyShare()

    @property
    def ends_ns(self) -> int:
        """When the look at hand ends [ns]; NEVER = there is none."""
        return NEVER if self._look is None else self._look.ends_ns

    def keep(self, image: ImageEmbedding, took_s: float) -> None:
        """A pass of this length [s] embeds an image."""
        self._rings[image.camera].add(image)
        self._share.note_pass(took_s, self._profile.decode_s)

    def hurries(self, now_ns: int) -> bool:
        """Whether other jobs wait for a look: one that has begun in a hurry, or may begin now."""
        if self._look is None and self._profile.decode_s > 0 and self._share.pays_for(self._profile.decode_s):
            self.begin(now_ns, hurries=True)
        return self._look is not None and self._look.hurries

    def begin(self, now_ns: int, hurries: bool = False) -> None:
        """Begin a look, if none is at hand and there is something to look for."""
        if self._look is not None:
            return
        for camera, source in self._sources.items():
            job = source.take_recall(self._rings[camera].stamps_ns)
            image = self._rings[camera].get(job.stamp_ns) if job is not None else None
            if job is not None and image is not None:
                took_s = self._profile.decode_s
                self._share.spend(hurries * took_s)
                self._look = _Look(source, job, image, now_ns + int(took_s * 1e9), hurries)
                return

    def give_way(self) -> None:
        """Something better is to do: the look at hand is begun anew another time."""
        self._look = None

    def end(self, now_ns: int) -> None:
        """The look that ends now is done."""
        look = self._look
        if look is None or now_ns < look.ends_ns:
            return
        self._look = None
        self.looks += 1
        prompts = self._segmenter.embed_prompts(look.job.prompts)
        for found in look.source.recalled(look.job, self._segmenter.segment(look.image, prompts, look.job.options)):
            self._on_recall(found)
