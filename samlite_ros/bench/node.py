"""The node over DDS, in a process of its own: latency, rate, drops, CPU time, memory, and its share of the latency.

With the demo network; beside a busy network of a given latency that knows the truth; and how long a query by topic
takes until its first answer.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from ament_index_python.packages import get_package_share_directory
from rclpy.signals import SignalHandlerOptions

from samlite_ros.bench.figures import CURVE, Figure, derived, percentiles, row
from samlite_ros.bench.new_process import in_new_process
from samlite_ros.bench.node_client import Arrival, CameraAndListener
from samlite_ros.bench.node_process import (
    ECHO_VARIABLE,
    LOG_VARIABLE,
    SCRIPT_VARIABLE,
    NetworkTime,
    read_log,
    write_script,
)
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.process_tree import tree_cpu_s, tree_peak_mib
from samlite_ros.errors import SamliteError
from samlite_ros.messages.fill import RCLPY, compressed_image_message, image_message
from samlite_ros.node.processes import private_graph, running
from samlite_ros.pixels.host_memory import keep_freed_memory
from samlite_ros.scenes.clips import pendulum
from samlite_ros.scenes.hard_sequences import DEVELOPMENT, StreamSequence
from samlite_ros.scenes.sequence import OneMoves, SequenceOptions
from samlite_ros.scenes.sequence import Sequence as SceneSequence
from samlite_ros.scenes.vocabulary import COLOURS, SHAPES
from samlite_ros.virtual.latency import LatencyProfile

KEYFRAME_RATE_HZ = 15.0
"""Rate of the camera where every frame goes through the network: slow enough that none waits for the one before."""
ECHO_SHARE = 0.5
"""Of the time of a setting: so long an echo is measured on the same way."""
RAW, SHARED, JPEG = "raw", "raw in shared memory", "JPEG"
"""How images travel: as Fast DDS sends them by default, with our config/fastdds.xml on both sides, compressed."""
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
CARRIED, NETWORK = "carried", "network"
"""Whether masks are carried to every frame, or every answer comes from the network."""
_MODULE = "samlite_ros.bench.node_process"
_PHRASE, _BUSY_PHRASE = "object", "thing 0"
_FRAMES, _BUSY_FRAMES, _STANDING_FRAMES = 24, 120, 120
_BUSY_SCENE = replace(DEVELOPMENT[0], count=8)
_START_TIMEOUT_S = 120.0
_SETTLE_ANSWERS = 5


@dataclass(frozen=True)
class Setting:
    """One way to run the node.

    Args:
        size: Camera image, (width, height) [px].
        transport: RAW, SHARED or JPEG.
        propagate: Masks are carried to every frame; False: every answer comes from the network.
        rate_hz: Of the camera [Hz].
        echo: Instead of our node one that answers at once.
        pass_ms: Instead of the demo network a busy one that takes so long for a pass [ms].
        late_queries: So many phrases are asked late, one after the other.
        stands: The camera stands, and one thing moves; else it flies.
        more: Further parameters of the node, with their values.
    """

    size: tuple[int, int]
    transport: str
    propagate: bool
    rate_hz: float
    echo: bool = False
    pass_ms: float | None = None
    late_queries: int = 0
    stands: bool = False
    more: tuple[tuple[str, str], ...] = ()

    @property
    def row(self) -> str:
        """Row of the tables."""
        how = CARRIED if self.propagate else NETWORK
        beside = "" if self.pass_ms is None else f" beside {self.pass_ms:g} ms"
        return f"{self.size[0]}x{self.size[1]} {self.transport}{beside}, {how}"

    def environment(self) -> dict[str, str]:
        """Environment of both processes."""
        if self.transport != SHARED:
            return {}
        profile = Path(get_package_share_directory("samlite_ros")) / "config" / "fastdds.xml"
        return dict.fromkeys(PROFILE_VARIABLES, str(profile))

    def parameters(self) -> list[str]:
        """ROS arguments of the node."""
        values = {
            "queries": f"['{_PHRASE if self.pass_ms is None else _BUSY_PHRASE}']",
            "propagate": str(self.propagate).lower(),
            "image_transport": "compressed" if self.transport == JPEG else "raw",
            **dict(self.more),
        }
        return [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]


@dataclass
class Measurement:
    """What was seen of one setting.

    Args:
        sent_ns: Stamps of the frames that the camera sent [ns].
        arrivals: Of the answers, by time.
        network: Time of the network, by stamp.
        elapsed_s: How long it was watched.
        cpu_s: CPU time of the node meanwhile, its network's process included.
        peak_mib: Most resident memory of the node, its network's process included.
        late_s: From each late query to the first answer that had searched for it [s].
    """

    sent_ns: list[int] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    network: dict[int, NetworkTime] = field(default_factory=dict)
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    late_s: list[float] = field(default_factory=list)

    def own(self) -> list[Arrival]:
        """Answers to the frames that were sent."""
        sent = set(self.sent_ns)
        return [a for a in self.arrivals if a.stamp_ns in sent]


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Measure every image size and transport, carried and from the network; busy networks; late queries."""
    figures: list[Figure] = []
    for setting in settings(options):
        on_step(f"node: {setting.row}")
        # Fast DDS reads its profile once in a process's life.
        seen = in_new_process(measure_node, setting, options.seconds)
        echoed = None
        if not setting.propagate:
            echoed = in_new_process(measure_node, replace(setting, echo=True), options.seconds * ECHO_SHARE)
        figures += figures_of_node(setting, seen, echoed)
    return figures


def settings(options: BenchOptions) -> list[Setting]:
    """All ways that the options ask for."""
    out = []
    for size, transport, propagate in product(options.sizes, (RAW, SHARED, JPEG), (True, False)):
        rate_hz = options.rate_hz if propagate else min(options.rate_hz, KEYFRAME_RATE_HZ)
        first = (size, transport, propagate) == (options.sizes[0], SHARED, True)
        out.append(Setting(size, transport, propagate, rate_hz, late_queries=options.late_queries if first else 0))
    return out + [Setting((640, 480), SHARED, True, options.rate_hz, pass_ms=ms) for ms in options.busy_ms]


def measure_node(setting: Setting, seconds: float) -> Measurement:
    """Start the node, wait for its answers, watch it for some seconds, ask late queries, stop it.

    Raises:
        SamliteError: It did not answer, or did not end well.
    """
    keep_freed_memory()  # the camera's own: a driver in C++ does not ask for new memory with each image either
    folder = Path(tempfile.mkdtemp(prefix="samlite_bench_"))  # stays where something fails: the error names it
    with _graph(setting, folder) as client, running(_MODULE, setting.parameters(), folder / "node.log") as node:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        client.spin_until(lambda: client.has_answers(_SETTLE_ANSWERS) or time.monotonic() > deadline_s)
        if not client.arrivals:
            tail = "\n".join((folder / "node.log").read_text(errors="replace").splitlines()[-10:])
            raise SamliteError(f"the node gave no answer in {_START_TIMEOUT_S:.0f} s:\n{tail}")
        found = _watch(client, node.pid, seconds)
        found.late_s = client.ask_late(late_phrases(setting.late_queries), _START_TIMEOUT_S)
    log = folder / "network.log"
    found.network = read_log(log) if log.exists() else {}
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _watch(client: CameraAndListener, pid: int, seconds: float) -> Measurement:
    client.restart()
    start_s, start_cpu_s = time.monotonic(), tree_cpu_s(pid)
    client.spin_until(lambda: time.monotonic() - start_s > seconds)
    elapsed_s, cpu_s = time.monotonic() - start_s, tree_cpu_s(pid) - start_cpu_s
    sent, arrivals = list(client.sent_ns), list(client.arrivals)
    return Measurement(sent, arrivals, {}, elapsed_s, cpu_s, tree_peak_mib(pid))


def late_phrases(count: int) -> list[str]:
    """Phrases that nobody asked for before."""
    return [f"{colour} {shape}" for shape, colour in product(SHAPES, COLOURS)][:count]


@contextmanager
def _graph(setting: Setting, folder: Path) -> Iterator[CameraAndListener]:
    """A graph of our own, for this process and the node's."""
    variables = {LOG_VARIABLE: str(folder / "network.log")}
    compressed = setting.transport == JPEG
    if setting.echo:
        variables[ECHO_VARIABLE] = "1"
    if setting.pass_ms is None:
        images = camera_images(setting.size, setting.stands)
    else:
        truth = pendulum(list(StreamSequence(_BUSY_SCENE, 0, _BUSY_FRAMES)))
        write_script(folder / "script.npz", truth, LatencyProfile.of_total_ms(setting.pass_ms))
        variables[SCRIPT_VARIABLE] = str(folder / "script.npz")
        images = [t.frame.image for t in truth]
    before = dict(os.environ)
    os.environ.update({**private_graph(), **setting.environment(), **variables})
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    client = CameraAndListener([to_message(i, compressed) for i in images], compressed, setting.rate_hz)
    try:
        yield client
    finally:
        client.destroy_node()
        rclpy.try_shutdown()
        os.environ.clear()
        os.environ.update(before)


def camera_images(size: tuple[int, int], stands: bool = False) -> list[np.ndarray]:
    """A rendered scene, there and back: uint8 (H, W, 3), RGB.

    Args:
        size: (width, height) [px].
        stands: The camera does, and one thing moves; else it flies over the scene.
    """
    scenes = SceneSequence("fly", 1, SequenceOptions(frames=_FRAMES, size=(480, 640)))
    if stands:
        scenes = OneMoves("cross", 1, SequenceOptions(frames=_STANDING_FRAMES, size=(480, 640)))
    forth = [np.asarray(cv2.resize(scene.image, size), np.uint8) for scene in scenes]
    return forth + forth[-2:0:-1]


def to_message(image: np.ndarray, compressed: bool) -> Any:
    """An image message, JPEG where it is to be compressed; its stamp is to be set."""
    if compressed:
        return compressed_image_message(RCLPY, image, 90, 1, "camera")
    return image_message(RCLPY, image, "rgb8", 1, "camera")


def figures_of_node(setting: Setting, seen: Measurement, echoed: Measurement | None = None) -> list[Figure]:
    """Rate, drops, latency, CPU and memory; where every answer comes from the network, our share of the latency.

    Where nothing was answered (all images may be lost on the way) there are no latencies.

    Args:
        setting: The setting.
        seen: What was seen of it.
        echoed: The same of a node that answers at once, whose median latency is none of ours.

    Returns:
        Also foreign: answers whose stamp no frame had; repeated: frames answered twice; age_frames_max and
        late_frames: by how many frames the newest answer lags when a frame's time is over (0 = that frame itself is
        answered), at most, and in how many frames it lags at all; knowledge_age_max: of any mask [s].
    """
    own, since_ns = seen.own(), min(seen.sent_ns, default=0)
    answered = len({a.stamp_ns for a in own})
    name = f"node/{setting.row}"
    figures = [
        derived(f"{name}/rate", "Hz", answered / seen.elapsed_s),
        derived(f"{name}/dropped", "%", 100 * (1 - answered / max(len(seen.sent_ns), 1))),
        derived(f"{name}/peak memory", "MiB", seen.peak_mib),
    ]
    if not answered:
        return figures
    latencies_ms = [a.latency_ms for a in own]
    lags = frame_lags(seen.sent_ns, own)
    counts = {
        "frames_in": len(seen.sent_ns),
        "frames_out": answered,
        "foreign": sum(a.stamp_ns >= since_ns for a in seen.arrivals) - len(own),
        "repeated": len(own) - answered,
        "age_frames_max": max(lags, default=0),
        "late_frames": sum(lag > 0 for lag in lags),
    }
    figures += row(name, counts)
    figures += row(name, {"knowledge_age_max": max(a.knowledge_age_s for a in own)}, "s")
    figures += percentiles(name, "ms", latencies_ms, (50, 95, 99))
    figures.append(derived(f"{name}/CPU per answer", "ms", 1e3 * seen.cpu_s / answered))
    figures += percentiles(f"node latency/{setting.row}", "ms", latencies_ms, CURVE)
    figures += percentiles(f"late query over DDS/{setting.row}", "ms", [1e3 * s for s in seen.late_s], (50, 95, 100))
    return figures if setting.propagate else figures + _figures_outside(name, seen, own, echoed)


def frame_lags(sent_ns: Sequence[int], arrivals: Sequence[Arrival]) -> list[int]:
    """By how many frames the newest answer lags when each frame's time is over."""
    number = {stamp: i for i, stamp in enumerate(sent_ns)}
    lags, at, newest = [], 0, -1
    for index, ends_ns in enumerate(sent_ns[1:]):
        while at < len(arrivals) and arrivals[at].at_ns < ends_ns:
            newest = max(newest, number[arrivals[at].stamp_ns])
            at += 1
        lags.append(index - newest)
    return lags


def _figures_outside(name: str, seen: Measurement, own: Sequence[Arrival], echoed: Measurement | None) -> list[Figure]:
    """The latency without the network's own time, and without that of an echo."""
    network = {a.stamp_ns: seen.network[a.stamp_ns] for a in own if a.stamp_ns in seen.network}
    outside_ms = [a.latency_ms - 1e3 * network[a.stamp_ns].wall_s for a in own if a.stamp_ns in network]
    figures = percentiles(name, "ms", outside_ms, (50, 95, 99), "outside the network p")
    if outside_ms and echoed is not None and echoed.arrivals:
        way_ms = float(np.median([a.latency_ms for a in echoed.arrivals]))
        figures.append(derived(f"{name}/way there and back", "ms", way_ms))
        figures += percentiles(name, "ms", [ms - way_ms for ms in outside_ms], (50, 95, 99), "ours p")
    network_cpu_s = sum(t.cpu_s for t in network.values())
    figures.append(derived(f"{name}/CPU outside", "ms", 1e3 * (seen.cpu_s - network_cpu_s) / len(own)))
    return figures
