"""A bag through the node's code on a virtual clock: what would the robot have seen?

Reading and decoding run ahead on one thread, writing behind on another; both queues are short: memory stays flat.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from samlite_ros.bags.frames import DecodedFrame, bag_companions, choose_image_topics, read_frames
from samlite_ros.bags.index import BagIndex, frame_stamp_ns, index_bag
from samlite_ros.bags.prefetch import Background, Prefetch
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.storage import RawMessage
from samlite_ros.bags.writer import check_free
from samlite_ros.errors import ParameterError, SamliteError
from samlite_ros.foreign.files import write_text
from samlite_ros.messages.companion_topics import CompanionTopics, find_companions, is_rectified
from samlite_ros.parameters.table import Parameters
from samlite_ros.queries import PARAMETER_CLIENT, Asked
from samlite_ros.replay.result_writer import ResultOptions, ResultWriter
from samlite_ros.replay.script import COMMAND_CLIENT, ask_from_start, query_topics, read_script, recorded_queries
from samlite_ros.replay.summary import ReplayRecord, summarise
from samlite_ros.replay.timeline import draw_timeline
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.streaming.companions import Companions
from samlite_ros.types import Frame
from samlite_ros.virtual.latency import NO_LATENCY, LatencyProfile
from samlite_ros.virtual.loop import PublishedAnswer
from samlite_ros.virtual.node import PublishedStatus, VirtualNode

SUMMARY_NAME, TIMELINE_NAME = "summary.json", "timeline.png"


@dataclass(frozen=True)
class ReplayOptions:
    """What to replay, and how.

    Args:
        image_topics: See `frames.choose_image_topics`.
        companion_topics: Camera name by topic of depth images or calibrations, which travel with its frames; empty =
            what the parameters name, or the usual names beside the images.
        phrases: Searched from the first frame on.
        script: See `script.read_script`; None = none.
        queries_from_bag: Ask what was asked in the bag.
        parameters: Of the node.
        profile: How long the network takes.
        result: What to write.
    """

    image_topics: tuple[str, ...] = ()
    companion_topics: Mapping[str, str] = field(default_factory=dict)
    phrases: tuple[str, ...] = ()
    script: Path | None = None
    queries_from_bag: bool = False
    parameters: Parameters = field(default_factory=Parameters)
    profile: LatencyProfile = NO_LATENCY
    result: ResultOptions = field(default_factory=ResultOptions)


@dataclass(frozen=True)
class ReplayOutcome:
    """The summary as it was written, and what was wrong, in words: nothing = every frame was answered as it should."""

    summary: dict[str, Any]
    faults: tuple[str, ...]


Progress = Callable[[int, int], None]
"""Called after each frame with the number of frames fed so far and in all."""


def replay(
    bag: Path, folder: Path, options: ReplayOptions, segmenter: Segmenter, progress: Progress = lambda done, total: None
) -> ReplayOutcome:
    """Replay a bag; see `prepared` and `Replay.run`."""
    with prepared(bag, folder, options) as ready:
        return ready.run(segmenter, progress)


@contextmanager
def prepared(bag: Path, folder: Path, options: ReplayOptions) -> Iterator[Replay]:
    """Open, check and index a bag: all that can be wrong before a network is loaded.

    Args:
        bag: The recording.
        folder: Where the results go: a bag, summary.json, timeline.png, and what the options ask for.
        options: What and how.

    Raises:
        BagError: Nothing can be read, or the folder holds a bag already.
        ParameterError: The script is wrong, or nothing is asked.
    """
    check_free(folder)
    if options.script is not None:
        read_script(options.script, 0)  # before a long bag is indexed
    with BagReader(bag) as reader:
        cameras = choose_image_topics(reader, options.image_topics)
        companions = bag_companions(
            reader, cameras, options.companion_topics or _found_companions(reader, cameras, options)
        )
        index = index_bag(reader, list(cameras), query_topics(reader) if options.queries_from_bag else ())
        yield Replay(reader, folder, options, cameras, companions, index, _asked(reader, index, options))


def _found_companions(reader: BagReader, cameras: Mapping[str, str], options: ReplayOptions) -> dict[str, str]:
    """Camera name by topic of what the node would listen to."""
    if not options.parameters.positions:
        return {}
    types = {topic.name: topic.type_name for topic in reader.topics.values() if topic.message_count}
    parameters = options.parameters
    topics: dict[str, str] = {}
    given = zip_longest(parameters.depth_topics, parameters.camera_info_topics, fillvalue="")
    for (image_topic, camera), names in zip_longest(cameras.items(), given, fillvalue=("", "")):
        found = find_companions(image_topic, types, CompanionTopics(*names))
        if found.depth and image_topic:
            topics |= {name: camera for name in (found.depth, found.camera_info) if name}
    return topics


def _asked(reader: BagReader, index: BagIndex, options: ReplayOptions) -> list[Asked]:
    start_ns = index.entries[0].stamp_ns
    asked = ask_from_start(PARAMETER_CLIENT, options.parameters.queries, start_ns)
    asked += ask_from_start(COMMAND_CLIENT, options.phrases, start_ns)
    if options.script is not None:
        asked += read_script(options.script, start_ns)
    asked += recorded_queries(reader, index)
    _check_asked(asked)
    return asked


def _check_asked(asked: Iterable[Asked]) -> None:
    if not any(request.text for a in asked for request in a.requests):
        raise ParameterError("nothing to search for: give --query, --script or --queries-from-bag")


@dataclass(frozen=True)
class Replay:
    """A bag that only needs a network; see `prepared`.

    Args:
        reader: The bag.
        folder: Where the results go.
        options: What and how.
        cameras: Camera name by image topic.
        companions: See `frames.bag_companions`.
        index: Of the bag.
        asked: What the clients ask for.
    """

    reader: BagReader
    folder: Path
    options: ReplayOptions
    cameras: dict[str, str]
    companions: dict[str, Companions]
    index: BagIndex
    asked: list[Asked]

    def run(self, segmenter: Segmenter, progress: Progress = lambda done, total: None) -> ReplayOutcome:
        """Answer every frame and write the results, once.

        What goes wrong from here on ends the replay, keeps the results so far, and is a fault of the outcome.

        Args:
            segmenter: The network.
            progress: Told of every frame.
        """
        reader, folder, result = self.reader, self.folder, self.options.result
        node = self._make_node(segmenter)
        run = _Run(reader, node, len(self.index.entries), progress, result.images)
        max_pixels = self.options.parameters.max_image_pixels
        located = {name for topic, name in self.cameras.items() if topic in self.companions}
        types = {topic: reader.topics[topic].type_name for topic in self.cameras}
        try:
            with (
                Background(lambda: ResultWriter(folder, list(self.cameras.values()), types, result, located)) as sink,
                Prefetch(read_frames(reader, self.index, self.cameras, self.companions, max_pixels)) as frames,
            ):
                run.feed(frames, sink)
        except OSError as error:
            reader.add_fault(str(error))
        summary = self._write_summary(run)
        if run.record.answers and result.timeline:
            draw_timeline(run.record.answers, node.passes, folder / TIMELINE_NAME)
        return ReplayOutcome(summary, tuple(summary["faults"]))

    def _make_node(self, segmenter: Segmenter) -> VirtualNode:
        cameras = tuple(name for name in self.cameras.values() if name)
        parameters = replace(self.options.parameters, cameras=cameras)
        return VirtualNode(
            segmenter,
            list(self.cameras.values()),
            parameters.streaming_options(),
            parameters.query_options(),
            self.asked,
            self.options.profile,
            {name for topic, name in self.cameras.items() if is_rectified(topic)},
            parameters.memory(),
        )

    def _write_summary(self, run: _Run) -> dict[str, Any]:
        summary = summarise(run.record, run.node, dict(run.frames), run.faults())
        if self.companions:
            summary["companions"] = {
                name: self.companions[topic].figures()
                for topic, name in self.cameras.items()
                if topic in self.companions
            }
            summary["places"] = {name: asdict(counters) for name, counters in run.node.place_counters.items()}
        text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
        write_text(self.folder / SUMMARY_NAME, text)
        return summary


@dataclass
class _Run:
    """One replay while it runs."""

    reader: BagReader
    node: VirtualNode
    total: int
    progress: Progress
    copies_images: bool
    record: ReplayRecord = field(default_factory=ReplayRecord)
    frames: Counter[str] = field(default_factory=Counter)
    done: int = 0

    def feed(
        self, decoded: Iterable[DecodedFrame], sink: Background[PublishedAnswer | PublishedStatus | RawMessage]
    ) -> None:
        """Feed all frames, write all that is published; what goes wrong ends it and becomes a fault."""
        try:
            for item in self.node.run(self._fed(decoded, sink)):
                self.record.add(item)
                sink.put(item)
        except KeyboardInterrupt:
            self.reader.add_fault(f"interrupted after {self.done} of {self.total} frames")
        except (SamliteError, OSError) as error:  # the network gives up, the disk is full
            self.reader.add_fault(f"ended after {self.done} of {self.total} frames: {error}")

    def faults(self) -> tuple[str, ...]:
        """All that went wrong."""
        rejected = [s for s in self.record.statuses.values() if s.state.name == "REJECTED"]
        for status in rejected:
            self.reader.add_fault(f"query {status.text!r} was rejected: {status.message}")
        if not self.record.answers:
            self.reader.add_fault("no frame was answered")
        return self.reader.faults

    def _fed(
        self, decoded: Iterable[DecodedFrame], sink: Background[PublishedAnswer | PublishedStatus | RawMessage]
    ) -> Iterator[Frame]:
        for item in decoded:
            if self.copies_images:
                stamp_ns = frame_stamp_ns(item.message) or item.message.log_time_ns
                sink.put(item.message._replace(log_time_ns=stamp_ns))
            if item.frame is not None:
                self.frames[item.frame.camera] += 1
                yield item.frame
            self.done += 1
            self.progress(self.done, self.total)
