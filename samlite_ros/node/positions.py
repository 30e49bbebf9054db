"""One camera's way from depth images to places: what it listens to while somebody asks, and what it says of itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from samlite_ros.errors import ParameterError
from samlite_ros.live.depth_health import DepthHealth
from samlite_ros.live.locating import Locating, Target
from samlite_ros.messages.companion_topics import NONE, CompanionTopics, depth_candidates, find_companions, is_rectified
from samlite_ros.messages.read import read_companion
from samlite_ros.messages.topics import CAMERA_INFO, COMPRESSED_DEPTH, DEPTH, Topic
from samlite_ros.node.console import Console
from samlite_ros.node.image_input import ImageInput
from samlite_ros.node.publishers import CameraPublishers
from samlite_ros.node.qos import QosWatch, profile_of
from samlite_ros.node.transforms import TfTransforms
from samlite_ros.parameters.table import Parameters
from samlite_ros.space.locator import Located, Locator, LocatorOptions
from samlite_ros.streaming.companions import Companions, StampBuffer

SILENT_S = 2.0
"""Without a depth image for so long it is told."""
NAMES_SHOWN = 4


@dataclass(frozen=True)
class PositionOptions:
    """How one camera's things are located.

    Args:
        enabled: They are, where somebody asks.
        topics: Names that are given.
        prefer_compressed: Take compressedDepth where both are published.
        tolerance_s: Stamps of depth image and camera image may differ by so much [s].
        target: The frame that is wanted; None = the camera's.
    """

    enabled: bool = True
    topics: CompanionTopics = NONE
    prefer_compressed: bool = False
    tolerance_s: float = 0.02
    target: Target | None = None


def make_positions(
    node: Node,
    qos: QosWatch,
    values: Parameters,
    publishers: Sequence[CameraPublishers],
    on_places: Callable[[Located], None],
) -> tuple[list[Positions], str]:
    """Those of each camera, by the parameters; and why the target frame cannot be had, empty = it can."""
    target, fault = None, ""
    if values.target_frame and values.positions:
        try:
            target = Target(values.target_frame, TfTransforms(node), values.transform_wait)
        except ParameterError as error:
            fault = str(error)
    made = []
    for depth, info, one in zip_longest(values.depth_topics, values.camera_info_topics, publishers, fillvalue=""):
        if isinstance(one, str):
            raise ParameterError(f"depth_topics and camera_info_topics: more names than the {len(publishers)} cameras")
        options = PositionOptions(
            enabled=values.positions,
            topics=CompanionTopics(str(depth), str(info)),
            prefer_compressed=values.image_transport == "compressed",
            tolerance_s=values.depth_tolerance,
            target=target,
        )
        made.append(Positions(node, qos, options, one, on_places))
    return made, fault


@dataclass
class _Aged:
    """What happened last, and how long ago."""

    count: int = 0
    since_s: float = 0.0

    def told(self, count: int, words: str) -> str:
        """In words; empty = it never happened."""
        if count != self.count:
            self.count, self.since_s = count, time.monotonic()
        return f"{words} ({time.monotonic() - self.since_s:.0f} s ago)" if words else ""


class Positions:
    """Listens to depth and calibration while somebody wants places; used from the executor's thread.

    Args:
        node: Subscribes.
        qos: Makes the subscriptions.
        options: How.
        publishers: Of the camera: where places go.
        on_places: Called on the stream's thread with what was found.
    """

    def __init__(
        self,
        node: Node,
        qos: QosWatch,
        options: PositionOptions,
        publishers: CameraPublishers,
        on_places: Callable[[Located], None],
    ) -> None:
        self._node, self._qos, self._options, self._publishers = node, qos, options, publishers
        tolerance_ns = round(options.tolerance_s * 1e9)
        self.companions = Companions(read_companion, depth=StampBuffer(tolerance_ns), expected=False)
        self.locating = Locating(self.companions, Locator(), publishers, on_places, options.target)
        self._health = DepthHealth(self.locating)
        self._rejection, self._refusal = _Aged(), _Aged()
        self._image_topic = ""
        self._put: Callable[[Any], None] = self.companions.put
        self._subscriptions: dict[str, Any] = {}
        self._topics = CompanionTopics()
        self._received, self._received_s = 0, time.monotonic()

    @property
    def name(self) -> str:
        """In diagnostics and on the console."""
        return f"positions {self._publishers.camera}".rstrip()

    def follow_image(self, image_input: ImageInput, put: Callable[[Any], None]) -> None:
        """Look beside this camera's images; `put` takes what comes."""
        self._image_topic, self._put = image_input.topic, put
        self.locating.locator.options = LocatorOptions(rectified=is_rectified(self._image_topic))

    def look(self, console: Console) -> tuple[str, str]:
        """Once a second: listen, or do no more; returns a word for what is odd, and the state in words."""
        wanted = self._options.enabled and self._publishers.wants_places()
        if not wanted:
            self.stop_listening()
            return "", "off: `positions` is false" if not self._options.enabled else "idle: nobody asks for places"
        self._listen(console)
        state, line = self._judge()
        console.change(
            self.name, state, line if state else f"places are known from {self._topics.depth}", warn=bool(state)
        )
        return state, line

    def values(self) -> dict[str, object]:
        """For the diagnostics."""
        counters, depth, smoothing = self.locating.counters, self.companions.depth, self.locating.locator.smoothing
        values: dict[str, object] = {
            "depth topic": self._topics.depth,
            "calibration topic": self._topics.camera_info,
            "target frame": self._options.target.frame_id if self._options.target else "",
        }
        if depth is not None:
            found = depth.counters
            values |= {
                "depth images": found.received,
                "images with depth": found.matched,
                "images without depth": found.missed,
                "depth images that came late": found.late,
                "stamps apart [ms]": self._health.stamps_apart_ns / 1e6,
                "stamps apart at most [ms]": found.apart_max_ns / 1e6,
            }
        return values | {
            "messages rejected": self.companions.rejected,
            "last rejection": self._rejection.told(self.companions.rejected, self.companions.last_rejection),
            "answers located": counters.located,
            "things located": counters.things,
            "things without enough depth": counters.unmeasured,
            "answers without depth": counters.without_depth,
            "answers refused": counters.refused,
            "last refusal": self._refusal.told(counters.refused, counters.last_refusal),
            "answers without transform": counters.untransformed,
            "positions not believed": smoothing.disbelieved,
            "tracks smoothed anew": smoothing.restarts,
            "positions not sound": smoothing.unsound,
        }

    def _listen(self, console: Console) -> None:
        """To what is there and not listened to yet; what was found once is kept."""
        known = self._topics
        if known.depth and known.camera_info:
            return
        types = {name: kinds[0] for name, kinds in self._node.get_topic_names_and_types() if kinds}
        published = {name: kind for name, kind in types.items() if self._node.count_publishers(name)}
        found = find_companions(
            self._image_topic, published, self._named(published), prefer_compressed=self._options.prefer_compressed
        )
        found = CompanionTopics(known.depth or found.depth, known.camera_info or found.camera_info)
        depth_kind = COMPRESSED_DEPTH if found.compressed else DEPTH
        for name, kind in ((found.depth, depth_kind), (found.camera_info, CAMERA_INFO)):
            if name and name not in self._subscriptions:
                self._subscriptions[name] = self._qos.subscription(
                    kind, self._take, name, profile=self._profile(name, kind)
                )
                self._received_s = time.monotonic()
                console.note(f"{self.name}: listens to {name}")
        self._topics = found
        self.companions.expected = bool(found.depth)

    def _named(self, published: dict[str, str]) -> CompanionTopics:
        """Given by parameters, or by remapping `depth` and `camera_info`."""
        given, camera = self._options.topics, self._publishers.camera
        own = [self._node.resolve_topic_name(topic.of(camera)) for topic in (DEPTH, CAMERA_INFO)]
        depth, info = (self._node.resolve_topic_name(n) if n else "" for n in (given.depth, given.camera_info))
        return CompanionTopics(
            depth or (own[0] if own[0] in published else ""), info or (own[1] if own[1] in published else "")
        )

    def _profile(self, name: str, topic: Topic) -> QoSProfile:
        """Lost parts are asked for again where all who publish offer that."""
        profile = profile_of(topic.qos)
        peers = self._node.get_publishers_info_by_topic(name)
        if peers and all(p.qos_profile.reliability == ReliabilityPolicy.RELIABLE for p in peers):
            profile.reliability = ReliabilityPolicy.RELIABLE
        return profile

    def stop_listening(self) -> None:
        """Nobody asks, or the node rests."""
        self.companions.expected = False
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        self._topics = CompanionTopics()
        self._received_s = time.monotonic()
        self._health.restart()

    def _take(self, message: Any) -> None:
        self._put(message)

    def _judge(self) -> tuple[str, str]:
        """A word for what is odd, empty = nothing; and the state in words."""
        calibration = self.companions.calibration
        silent_s = self._silent_s()
        odd, line = self._health.judge()
        if not self._topics.depth:
            odd = "no depth" if self._publishers.shows_places() else ""
            line = f"no depth image is published; looked for {self._looked_for()}; name it with depth_topics"
        elif not self._topics.camera_info:
            odd, line = "no calibration", f"no camera_info is published beside {self._image_topic}: camera_info_topics"
        elif odd == "rejected":
            line = f"{self._topics.depth}: {line}"
        elif silent_s > SILENT_S:
            odd = "silent"
            line = f"no depth image for {silent_s:.1f} s on {self._topics.depth}: masks go on without places"
        elif calibration is not None and not calibration.counters.received:
            odd = "no calibration"
            line = f"{self._topics.camera_info}: {self.companions.rejected_calibrations.last or 'none has come yet'}"
        elif not odd:
            line = f"from {self._topics.depth}"
        return odd, line

    def _silent_s(self) -> float:
        received = self.companions.depth.counters.received if self.companions.depth else 0
        received += self.companions.rejected_depth.count
        if received != self._received:
            self._received, self._received_s = received, time.monotonic()
        return time.monotonic() - self._received_s

    def _looked_for(self) -> str:
        usual = depth_candidates(self._image_topic)
        shown = ", ".join(usual[:NAMES_SHOWN])
        return self._options.topics.depth or f"{shown} and {len(usual) - NAMES_SHOWN} more"
