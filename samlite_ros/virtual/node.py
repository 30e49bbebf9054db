"""The node on a virtual clock: its queries, its cameras, and one network that serves them in turn.

The frames' stamps are the clock; the network takes the time that a latency profile says, and the work of the streams
none, so that the outcome is the same every time. `virtual.run` drives one camera with fixed prompts the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from samlite_ros.errors import SamliteError
from samlite_ros.queries import Asked, QueryOptions, QueryRegistry, QueryStatus, embed_pending
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.space.locator import Locator, LocatorOptions, PlaceCounters
from samlite_ros.streaming.pipeline import StreamingOptions, StreamingPipeline
from samlite_ros.streaming.recall import Recalled
from samlite_ros.streaming.ring import EmbeddingRing, Memory
from samlite_ros.types import Frame, Segmentation, Vocabulary
from samlite_ros.virtual.latency import NEVER, NO_LATENCY, LatencyProfile
from samlite_ros.virtual.loop import PublishedAnswer, VirtualLoop
from samlite_ros.virtual.network import KeyframePass, VirtualNetwork, VirtualStream
from samlite_ros.virtual.past import PastSource, VirtualPast


@dataclass(frozen=True, eq=False)
class PublishedStatus:
    """The state of all queries, when it was published [ns]."""

    statuses: tuple[QueryStatus, ...]
    epoch: int
    at_ns: int


class VirtualNode:
    """Answers frames of several cameras.

    Args:
        segmenter: The network; its results are used as they are, only their time is virtual.
        cameras: Their names; '' for one without a name.
        streaming: How each camera is answered.
        queries: Defaults and limits of queries.
        asked: What the clients ask for, by time.
        profile: How long the network takes.
        rectified: Cameras whose images have no distortion, whatever their calibration says.
        memory: What is kept to look back; None = nothing.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        cameras: Sequence[str],
        streaming: StreamingOptions,
        queries: QueryOptions,
        asked: Iterable[Asked],
        profile: LatencyProfile = NO_LATENCY,
        rectified: Collection[str] = (),
        memory: Memory | None = None,
    ) -> None:
        self.pipelines = {name: StreamingPipeline(streaming, name) for name in cameras}
        """The pipeline of each camera."""
        streams = {name: VirtualStream(pipeline) for name, pipeline in self.pipelines.items()}
        self._registry = QueryRegistry(queries)
        past = None
        if memory is not None and memory.remember_s > 0:
            most_bytes = memory.most_bytes // len(streams)
            rings = {name: EmbeddingRing(memory.remember_s, most_bytes) for name in streams}
            sources: dict[str, PastSource] = {**streams}
            past = VirtualPast(segmenter, profile, sources, rings, self._record_recall)
        self._network = VirtualNetwork(segmenter, profile, list(streams.values()), past)
        clients = _QueryClients(self._registry, asked, segmenter, list(self.pipelines.values()))
        self._loop = VirtualLoop(streams, self._network, clients)
        self._locators = {name: Locator(LocatorOptions(name in rectified)) for name in cameras}
        self.place_counters = {name: PlaceCounters() for name in cameras}
        """What became of the places of each camera's answers to frames with depth."""

    @property
    def looks_back(self) -> int:
        """Looks into kept keyframes that have ended."""
        return self._network.looks_back

    @property
    def passes(self) -> list[KeyframePass]:
        """What the network has done."""
        return self._network.passes

    def statuses(self) -> list[QueryStatus]:
        """Of every query as it stands; what was published last may be older, since only changes are."""
        return self._registry.statuses()

    def run(self, frames: Iterable[Frame]) -> Iterator[PublishedAnswer | PublishedStatus]:
        """Feed frames in the order of their stamps; yields what is published, in order."""
        for frame in frames:
            yield from map(self._located, self._loop.take(frame))
        yield from map(self._located, self._loop.finish())

    def _record_recall(self, found: Recalled) -> None:
        self._registry.record_recall(*found.as_told)

    def _located(self, item: PublishedAnswer | PublishedStatus) -> PublishedAnswer | PublishedStatus:
        """With the places of its things, where its frame has depth."""
        if isinstance(item, PublishedStatus) or item.frame.depth is None:
            return item
        counters = self.place_counters[item.frame.camera]
        try:
            located = self._locators[item.frame.camera].locate(item.answer, item.frame)
        except SamliteError as error:
            counters.refuse(error)
            return item
        counters.count(located)
        self._registry.record_places(item.answer, located.places)
        return replace(item, located=located)


class _QueryClients:
    """Clients whose queries stand in the node's registry."""

    def __init__(
        self,
        registry: QueryRegistry,
        asked: Iterable[Asked],
        segmenter: Segmenter,
        pipelines: Sequence[StreamingPipeline],
    ) -> None:
        self._vocabulary: Vocabulary = registry.vocabulary
        self._registry, self._segmenter, self._pipelines = registry, segmenter, pipelines
        self._asked = deque(sorted(asked, key=lambda a: a.at_ns))
        self._told_revision = registry.revision

    @property
    def next_ns(self) -> int:
        return self._asked[0].at_ns if self._asked else NEVER

    def ask(self, now_ns: int) -> None:
        self._asked.popleft().apply(self._registry, now_ns)

    def update(self, now_ns: int) -> Iterator[PublishedStatus]:
        """Embed new prompts, tell the cameras what to search for, and the clients what became of their queries."""
        registry = self._registry
        registry.advance(now_ns)
        embed_pending(registry, self._segmenter.embed_prompts, now_ns)
        if registry.vocabulary is not self._vocabulary:
            self._vocabulary = registry.vocabulary
            for pipeline in self._pipelines:
                pipeline.set_vocabulary(self._vocabulary)
        if registry.revision != self._told_revision:
            self._told_revision = registry.revision
            yield PublishedStatus(tuple(registry.statuses()), self._vocabulary.epoch, now_ns)

    def record(self, answer: Segmentation) -> None:
        self._registry.record(answer)
