"""The node over DDS, in a process of its own: latency, rate, drops, CPU time, memory, and its share of the latency."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from ament_index_python.packages import get_package_share_directory
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image

from samlite_ros.bench.figures import Figure, derived
from samlite_ros.bench.memory import in_new_process
from samlite_ros.bench.node_process import LOG_VARIABLE, NetworkTime, read_log
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.process_tree import tree_cpu_s, tree_peak_mib
from samlite_ros.errors import SamliteError
from samlite_ros.live.memory import keep_freed_memory
from samlite_ros.messages.fill import compressed_image_message, image_message, stamp_ns, time_message
from samlite_ros.msg import Segmentation
from samlite_ros.node.messages import RCLPY
from samlite_ros.node.processes import private_graph, running
from samlite_ros.scenes.sequence import Sequence as SceneSequence
from samlite_ros.scenes.sequence import SequenceOptions

PERCENTILES = (1, 10, 25, 50, 75, 90, 95, 99, 100)
KEYFRAME_RATE_HZ = 15.0
"""Rate of the camera where every frame goes through the network: slow enough that none waits for the one before."""
ECHO_SHARE = 0.5
"""Of the time of a setting: so long an echo is measured on the same way."""
RAW, SHARED, JPEG = "raw", "raw in shared memory", "JPEG"
"""How images travel: as Fast DDS sends them by default, with our config/fastdds.xml on both sides, compressed."""
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_PHRASE = "object"
_FRAMES = 24
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
    """

    size: tuple[int, int]
    transport: str
    propagate: bool
    rate_hz: float
    echo: bool = False

    @property
    def row(self) -> str:
        """Row of the tables."""
        return f"{self.size[0]}x{self.size[1]} {self.transport}, {'carried' if self.propagate else 'network'}"

    def environment(self) -> dict[str, str]:
        """Environment of both processes."""
        if self.transport != SHARED:
            return {}
        profile = Path(get_package_share_directory("samlite_ros")) / "config" / "fastdds.xml"
        return dict.fromkeys(PROFILE_VARIABLES, str(profile))


@dataclass
class Measurement:
    """What was seen of one setting.

    Args:
        latencies_s: From stamp to arrival, by stamp [ns].
        network: Time of the network, by stamp [ns].
        sent: Frames that the camera sent.
        elapsed_s: How long it was watched.
        cpu_s: CPU time of the node meanwhile, its network's process included.
        peak_mib: Most resident memory of the node, its network's process included.
    """

    latencies_s: dict[int, float] = field(default_factory=dict)
    network: dict[int, NetworkTime] = field(default_factory=dict)
    sent: int = 0
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0


class CameraAndListener(Node):
    """Sends prepared images with the present as stamp, and notes when the answers come.

    Args:
        setting: Which images, and how often.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__("samlite_bench")
        self.latencies_s: dict[int, float] = {}
        self.sent = 0
        compressed = setting.transport == JPEG
        self._messages = cycle(camera_messages(setting.size, compressed))
        kind, topic = (CompressedImage, "/image/compressed") if compressed else (Image, "/image")
        self._images = self.create_publisher(kind, topic, QoSProfile(depth=2))
        self.create_subscription(Segmentation, "/samlite/segmentation", self._on_answer, QoSProfile(depth=50))
        self.create_timer(1 / setting.rate_hz, self._send)
        self._executor = SingleThreadedExecutor()  # rclpy.spin_once would make one for each message
        self._executor.add_node(self)

    def spin_until(self, condition: Callable[[], bool]) -> None:
        """Send and listen until the condition holds."""
        while not condition():
            self._executor.spin_once(timeout_sec=0.1)

    def restart(self) -> None:
        """Forget what was seen so far."""
        self.latencies_s.clear()
        self.sent = 0

    def _send(self) -> None:
        message = next(self._messages)
        message.header.stamp = time_message(RCLPY, time.time_ns())
        self._images.publish(message)
        self.sent += 1

    def _on_answer(self, message: Segmentation) -> None:
        stamp = stamp_ns(message.header.stamp)
        self.latencies_s[stamp] = (time.time_ns() - stamp) / 1e9


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Measure the demo network in the node, for every image size and transport, carried and from the network."""
    figures: list[Figure] = []
    for size, transport, propagate in product(options.sizes, (RAW, SHARED, JPEG), (True, False)):
        rate_hz = options.rate_hz if propagate else min(options.rate_hz, KEYFRAME_RATE_HZ)
        setting = Setting(size, transport, propagate, rate_hz)
        on_step(f"node: {setting.row}")
        # Fast DDS reads its profile once in a process's life.
        seen = in_new_process(measure_node, setting, options.seconds)
        echoed = None
        if not propagate:
            echoed = in_new_process(measure_node, replace(setting, echo=True), options.seconds * ECHO_SHARE)
        figures += figures_of_node(setting, seen, echoed)
    return figures


def measure_node(setting: Setting, seconds: float) -> Measurement:
    """Start the node, wait for its answers, watch it for some seconds, stop it.

    Raises:
        SamliteError: It did not answer, or did not end well.
    """
    keep_freed_memory()  # the camera's own: a driver in C++ does not ask for new memory with each image either
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "network.log"
        module, arguments = (_ECHO, []) if setting.echo else (_MODULE, _parameters(setting))
        with _graph(setting, log) as client, running(module, arguments, Path(folder) / "node.log") as node:
            deadline_s = time.monotonic() + _START_TIMEOUT_S
            client.spin_until(lambda: len(client.latencies_s) >= _SETTLE_ANSWERS or time.monotonic() > deadline_s)
            if not client.latencies_s:
                raise SamliteError(f"the node gave no answer in {_START_TIMEOUT_S:.0f} s:\n{_tail(folder)}")
            found = _watch(client, node.pid, seconds)
        found.network = {} if setting.echo else read_log(log)
    return found


_MODULE, _ECHO = "samlite_ros.bench.node_process", "samlite_ros.bench.echo_process"


def _watch(client: CameraAndListener, pid: int, seconds: float) -> Measurement:
    client.restart()
    start_s, start_cpu_s = time.monotonic(), tree_cpu_s(pid)
    client.spin_until(lambda: time.monotonic() - start_s > seconds)
    elapsed_s, cpu_s = time.monotonic() - start_s, tree_cpu_s(pid) - start_cpu_s
    return Measurement(dict(client.latencies_s), {}, client.sent, elapsed_s, cpu_s, tree_peak_mib(pid))


def _parameters(setting: Setting) -> list[str]:
    values = {
        "queries": f"['{_PHRASE}']",
        "propagate": str(setting.propagate).lower(),
        "image_transport": "compressed" if setting.transport == JPEG else "raw",
    }
    return [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]


@contextmanager
def _graph(setting: Setting, log: Path) -> Iterator[CameraAndListener]:
    """A graph of our own, for this process and the node's."""
    before = dict(os.environ)
    os.environ.update({**private_graph(), **setting.environment(), LOG_VARIABLE: str(log)})
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    client = CameraAndListener(setting)
    try:
        yield client
    finally:
        client.destroy_node()
        rclpy.try_shutdown()
        os.environ.clear()
        os.environ.update(before)


def camera_messages(size: tuple[int, int], compressed: bool) -> list[Any]:
    """A flight over a rendered scene, there and back, as image messages; stamps are to be set.

    Args:
        size: (width, height) [px].
        compressed: JPEG.
    """
    scenes = SceneSequence("fly", 1, SequenceOptions(frames=_FRAMES, size=(480, 640)))
    images = [np.asarray(cv2.resize(scene.image, size), np.uint8) for scene in scenes]
    forth = [
        compressed_image_message(RCLPY, i, 90, 1, "camera")
        if compressed
        else image_message(RCLPY, i, "rgb8", 1, "camera")
        for i in images
    ]
    return forth + forth[-2:0:-1]


def figures_of_node(setting: Setting, seen: Measurement, echoed: Measurement | None = None) -> list[Figure]:
    """Rate, drops, latency, CPU and memory; where every answer comes from the network, our share of the latency.

    Where nothing was answered (all images may be lost on the way) there are no latencies.

    Args:
        setting: The setting.
        seen: What was seen of it.
        echoed: The same of a node that answers at once, whose median latency is none of ours.
    """
    latencies_ms = [1e3 * s for s in seen.latencies_s.values()]
    answered = len(latencies_ms)
    name, curve = f"node/{setting.row}", f"node latency/{setting.row}"
    figures = [
        derived(f"{name}/rate", "Hz", answered / seen.elapsed_s),
        derived(f"{name}/dropped", "%", 100 * max(1 - answered / max(seen.sent, 1), 0.0)),
        derived(f"{name}/peak memory", "MiB", seen.peak_mib),
    ]
    if not answered:
        return figures
    figures += _percentiles(name, "", latencies_ms)
    figures.append(derived(f"{name}/CPU per answer", "ms", 1e3 * seen.cpu_s / answered))
    figures += [derived(f"{curve}/p{p}", "ms", float(np.percentile(latencies_ms, p))) for p in PERCENTILES]
    if not setting.propagate:
        network = {t: seen.network[t] for t in seen.latencies_s if t in seen.network}
        outside_ms = [1e3 * (seen.latencies_s[t] - took.wall_s) for t, took in network.items()]
        figures += _percentiles(name, "outside the network ", outside_ms) if outside_ms else []
        if outside_ms and echoed is not None and echoed.latencies_s:
            way_ms = 1e3 * float(np.median(list(echoed.latencies_s.values())))
            figures.append(derived(f"{name}/way there and back", "ms", way_ms))
            figures += _percentiles(name, "ours ", [ms - way_ms for ms in outside_ms])
        network_cpu_s = sum(t.cpu_s for t in network.values())
        figures.append(derived(f"{name}/CPU outside", "ms", 1e3 * (seen.cpu_s - network_cpu_s) / answered))
    return figures


def _percentiles(name: str, prefix: str, values_ms: Sequence[float]) -> list[Figure]:
    return [derived(f"{name}/{prefix}p{p}", "ms", float(np.percentile(values_ms, p))) for p in (50, 95, 99)]


def _tail(folder: str) -> str:
    log = Path(folder) / "node.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])
