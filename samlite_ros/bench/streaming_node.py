"""Through the real node, over DDS: a camera at 30 Hz, a busy network of each latency, an observer that counts."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

from samlite_ros.bench.process_tree import tree_cpu_s
from samlite_ros.bench.streaming.busy_segmenter import HELD_SHARE
from samlite_ros.bench.streaming_clips import pendulum
from samlite_ros.bench.streaming_node_process import SCRIPT_VARIABLE, write_script
from samlite_ros.errors import SamliteError
from samlite_ros.evaluation.measures.streaming_accuracy import Score, score_run
from samlite_ros.messages.fill import image_message, stamp_ns, time_message
from samlite_ros.messages.read import read_segmentation
from samlite_ros.msg import Segmentation
from samlite_ros.node.messages import RCLPY
from samlite_ros.node.processes import private_graph, running
from samlite_ros.scenes.hard_sequences import DEVELOPMENT, StreamSequence, TruthFrame
from samlite_ros.streaming.answer import Published
from samlite_ros.virtual.latency import LatencyProfile

RATE_HZ = 30.0
MAX_MASK_AGE_S = 2.0
"""The node's default, given to it all the same: what is judged must be what it was told."""
RENDERED_FRAMES = 120
JUDGED_FRAMES = 300
"""Overlap with the truth takes time to compute: so many frames are enough."""
PERCENTILES = (50, 95, 99, 100)
CURVE = (1, 5, 10, 25, 50, 75, 90, 95, 99, 100)
_MODULE = "samlite_ros.bench.streaming_node_process"
_SCENE = replace(DEVELOPMENT[0], count=8)
_START_TIMEOUT_S, _REPORT_S = 60.0, 2.5


@dataclass
class Seen:
    """What the observer saw.

    Args:
        sent_ns: Stamps of the camera's frames, in order [ns]; those before the watch too, for answers rest on them.
        shown: Which of the prepared images each was.
        begins: Number of the first frame that counts.
        answers: Arrival on the same clock [ns], and answer.
        reports: The node's diagnostics of its camera, by time.
        cpu_s: CPU time of the node meanwhile, its network's process included.
    """

    sent_ns: list[int] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    begins: int = 0
    answers: list[tuple[int, Segmentation]] = field(default_factory=list)
    reports: list[dict[str, str]] = field(default_factory=list)
    cpu_s: float = 0.0


class CameraAndObserver(Node):
    """Sends prepared images at a fixed rate, and keeps the answers with their arrival.

    Args:
        images: To be shown in turn.
    """

    def __init__(self, images: Sequence[Image]) -> None:
        super().__init__("samlite_bench")
        self.seen = Seen()
        self._images, self._next = images, 0
        self._publisher = self.create_publisher(Image, "/image", QoSProfile(depth=2))
        self.create_subscription(Segmentation, "/samlite/segmentation", self._on_answer, QoSProfile(depth=100))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=10))

    def film(self, goes_on: Callable[[], bool]) -> None:
        """Send a frame each period while the condition holds, and listen; a frame that is late is left out."""
        due_s = time.monotonic()
        while goes_on():
            now_s = time.monotonic()
            if now_s >= due_s:
                self._send()
                due_s += max(1, int((now_s - due_s) * RATE_HZ)) / RATE_HZ
            rclpy.spin_once(self, timeout_sec=max(due_s - time.monotonic(), 0.0))

    def listen(self, seconds: float) -> None:
        """Only listen."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            rclpy.spin_once(self, timeout_sec=0.05)

    def _send(self) -> None:
        message = self._images[self._next % len(self._images)]
        stamp = time.time_ns()
        message.header.stamp = time_message(RCLPY, stamp)
        self.seen.sent_ns.append(stamp)
        self.seen.shown.append(self._next % len(self._images))
        self._publisher.publish(message)
        self._next += 1

    def _on_answer(self, message: Segmentation) -> None:
        self.seen.answers.append((time.time_ns(), message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith("samlite: camera"):
                self.seen.reports.append({pair.key: pair.value for pair in status.values})


def through_the_node(seed: int, profile_ms: float, seconds: float, held_share: float = HELD_SHARE) -> dict[str, Any]:
    """Run the node with a network of this latency and count what comes back.

    Args:
        seed: Of the scene.
        profile_ms: Time of a pass of one phrase [ms].
        seconds: How long it is watched [s].
        held_share: Share of its time in which the network holds the interpreter.

    Returns:
        See `figures`.

    Raises:
        SamliteError: The node did not answer, or did not end well.
    """
    truth = pendulum(list(StreamSequence(_SCENE, seed, RENDERED_FRAMES)))
    with tempfile.TemporaryDirectory() as folder:
        script, log = Path(folder) / "script.npz", Path(folder) / "node.log"
        write_script(script, truth, LatencyProfile.of_total_ms(profile_ms), held_share)
        with _graph(truth, script) as client, running(_MODULE, _PARAMETERS, log) as node:
            _wait_for_masks(client, log)
            seen = _watch(client, node.pid, seconds)
    return figures(seen, truth)


_PARAMETERS = [
    word
    for value in (
        "queries:=['thing 0']",
        f"max_mask_age:={MAX_MASK_AGE_S}",
        "qos_overrides./image.subscription.reliability:=reliable",  # best effort loses raw images between processes
    )
    for word in ("-p", value)
]


@contextmanager
def _graph(truth: Sequence[TruthFrame], script: Path) -> Iterator[CameraAndObserver]:
    """A graph of our own, for this process and the node's."""
    before = dict(os.environ)
    os.environ.update(private_graph(), **{SCRIPT_VARIABLE: str(script)})
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    client = CameraAndObserver([image_message(RCLPY, t.frame.image, "rgb8", 1, "camera") for t in truth])
    try:
        yield client
    finally:
        client.destroy_node()
        rclpy.try_shutdown()
        os.environ.clear()
        os.environ.update(before)


def _wait_for_masks(client: CameraAndObserver, log: Path) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    client.film(lambda: not _has_masks(client.seen) and time.monotonic() < deadline_s)
    if not _has_masks(client.seen):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
        raise SamliteError(f"the node gave no mask in {_START_TIMEOUT_S:.0f} s:\n{tail}")


def _has_masks(seen: Seen) -> bool:
    return bool(seen.answers) and len(seen.answers[-1][1].instances) > 0


def _watch(client: CameraAndObserver, pid: int, seconds: float) -> Seen:
    """From a report of the node's counters to a report after the last frame."""
    client.seen.reports.clear()
    client.film(lambda: not client.seen.reports)
    start_cpu_s = tree_cpu_s(pid)  # takes a frame's time, in which the camera stands still: before what counts
    client.seen.begins, start_s = len(client.seen.sent_ns), time.monotonic()
    client.film(lambda: time.monotonic() - start_s < seconds)
    client.seen.cpu_s = tree_cpu_s(pid) - start_cpu_s
    client.listen(_REPORT_S)
    return client.seen


def figures(seen: Seen, truth: Sequence[TruthFrame]) -> dict[str, Any]:
    """Count.

    Args:
        seen: What was observed.
        truth: The images that were shown in turn.

    Returns:
        frames_in, frames_out (different frames answered), answered (share), foreign (answers whose stamp no frame
        had), repeated (frames answered twice), rate_in_hz, rate_out_hz; age_frames_max and late_frames: by how many
        frames the newest answer lagged at the end of a frame's time, at most, and in how many frames it lagged at all;
        knowledge_age_s_max of any mask, and max_mask_age_s; latency_ms from stamp to arrival, and its curve; dropped
        in the node for newer frames; cpu_ms_per_frame of the node, the network's own included; iou and iou_visible.

    Raises:
        SamliteError: Nothing was answered.
    """
    sent_ns = seen.sent_ns[seen.begins :]
    number = {stamp: i for i, stamp in enumerate(sent_ns)}
    since = [(at, a) for at, a in seen.answers if stamp_ns(a.header.stamp) >= sent_ns[0]]
    own = [(number[stamp_ns(a.header.stamp)], at, a) for at, a in since if stamp_ns(a.header.stamp) in number]
    if not own:
        raise SamliteError(f"none of {len(sent_ns)} frames was answered")
    answered = {index for index, _, _ in own}
    latency_ms = [(at - sent_ns[index]) / 1e6 for index, at, _ in own]
    lags = _lags(sent_ns, [(at, index) for index, at, _ in own])
    duration_s = (sent_ns[-1] - sent_ns[0]) / 1e9 + 1 / RATE_HZ
    score = _score(seen, truth)
    return {
        "frames_in": len(sent_ns),
        "frames_out": len(answered),
        "answered": len(answered) / len(sent_ns),
        "foreign": len(since) - len(own),
        "repeated": len(own) - len(answered),
        "rate_in_hz": len(sent_ns) / duration_s,
        "rate_out_hz": len(answered) / duration_s,
        "age_frames_max": max(lags),
        "late_frames": sum(lag > 0 for lag in lags),
        "knowledge_age_s_max": max(_knowledge_age_s(a) for _, _, a in own),
        "max_mask_age_s": MAX_MASK_AGE_S,
        "latency_ms": {"max" if q == 100 else f"p{q}": float(np.percentile(latency_ms, q)) for q in PERCENTILES},
        "latency_curve": [[float(np.percentile(latency_ms, q)), q] for q in CURVE],
        "dropped": _gained(seen.reports, "images dropped for newer ones"),
        "keyframes": _gained(seen.reports, "keyframes"),
        "cpu_ms_per_frame": 1e3 * seen.cpu_s / len(sent_ns),
        "iou": score.iou(),
        "iou_visible": score.iou(whole_only=True),
    }


def _lags(sent_ns: Sequence[int], arrivals: Sequence[tuple[int, int]]) -> list[int]:
    """By how many frames the newest answer lags when a frame's time is over: 0 = the frame itself is answered.

    Args:
        sent_ns: The frames' stamps.
        arrivals: (time, number of the frame that is answered), by time.
    """
    lags, at, newest = [], 0, -1
    for index, ends_ns in enumerate(sent_ns[1:]):
        while at < len(arrivals) and arrivals[at][0] < ends_ns:
            newest = max(newest, arrivals[at][1])
            at += 1
        lags.append(index - newest)
    return lags


def _knowledge_age_s(answer: Segmentation) -> float:
    stamp = stamp_ns(answer.header.stamp)
    return max([0.0, *((stamp - stamp_ns(i.keyframe_stamp)) / 1e9 for i in answer.instances)])


def _gained(reports: Sequence[Mapping[str, str]], key: str) -> int:
    """How much a counter of the node grew from the first report to the last."""
    return int(reports[-1][key]) - int(reports[0][key]) if reports else 0


def _score(seen: Seen, truth: Sequence[TruthFrame]) -> Score:
    """The watch's first seconds against the truth of each frame, as on the virtual clock.

    It begins a little earlier, since the first answers rest on frames from before.
    """
    begins = max(seen.begins - round(2 * MAX_MASK_AGE_S * RATE_HZ), 0)
    ends = min(seen.begins + JUDGED_FRAMES, len(seen.sent_ns))
    shown = [
        replace(truth[which], frame=replace(truth[which].frame, stamp_ns=stamp))
        for which, stamp in zip(seen.shown[begins:ends], seen.sent_ns[begins:ends], strict=True)
    ]
    known = {t.frame.stamp_ns for t in shown}
    answers = [Published(read_segmentation(a), at, 0.0) for at, a in seen.answers if stamp_ns(a.header.stamp) in known]
    return score_run(shown, [p for p in answers if p.answer.keyframe_stamp_ns in known])
