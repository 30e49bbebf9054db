"""Positions in space: how far they are from the truth at every camera frame, and what they cost."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.figures import Figure, percentiles
from samlite_ros.bench.streaming import space_images
from samlite_ros.bench.streaming.both_ways import CARRIED, USUAL
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.bench.streaming.space_images import LEAST_PX, calibration_of
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.scenes import Scene, SequenceOptions
from samlite_ros.scenes import Sequence as SceneSequence
from samlite_ros.scenes.camera import Camera
from samlite_ros.scenes.depth import DepthSensor, TruePlace, measure_depth, true_place
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.space.frames import Transform
from samlite_ros.space.locator import Locator
from samlite_ros.types import CameraCalibration, DepthImage, Frame, Instance, Segmentation
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.loop import PublishedAnswer
from samlite_ros.virtual.run import VirtualRun

KINDS = ("still", "pan", "fly", "cross")
THINGS, ROUNDS = 8, 200
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SpaceFrame:
    """One frame with depth, and what is true in it.

    Args:
        frame: With a measured depth image and calibration.
        scene: What it shows.
        places: Of each thing that is wide enough, by its track id.
    """

    frame: Frame
    scene: Scene
    places: dict[int, TruePlace]


def render(sequence: SceneSequence) -> list[SpaceFrame]:
    """All frames of a sequence."""
    return [_space_frame(sequence, index) for index in range(len(sequence))]


def _space_frame(sequence: SceneSequence, index: int) -> SpaceFrame:
    scene, exact = sequence[index], sequence.exact_depth(index)
    measured = measure_depth(exact, DepthSensor(), np.random.default_rng([sequence.seed, index]))
    frame = Frame(
        scene.image,
        scene.stamp_ns,
        "optical",
        depth=DepthImage(measured, scene.stamp_ns, "optical"),
        calibration=calibration_of(scene.camera),
    )
    wide = [o for o in scene.objects if min(o.box_xyxy[2] - o.box_xyxy[0], o.box_xyxy[3] - o.box_xyxy[1]) >= LEAST_PX]
    focal_px = scene.camera.focal_px
    return SpaceFrame(frame, scene, {o.track_id: true_place(scene.mask(o.track_id), exact, focal_px) for o in wide})


def to_world(camera: Camera) -> Transform:
    """From the optical frame to the world."""
    right, up, forward = camera.axes
    return Transform(np.stack([right, -up, forward], 1), np.array(camera.pose.position_m))


def run(options: StreamingBenchOptions, progress: Progress) -> list[Figure]:
    """Positions against truth under every profile, both ways, in the camera's frame and in the world; then the cost."""
    errors: defaultdict[str, list[float]] = defaultdict(list)
    for number, kind in enumerate(progress(KINDS, "space")):
        sequence = SceneSequence(kind, 70 + 10 * options.seed + number, SequenceOptions(frames=options.frames))
        frames = render(sequence)
        for profile_ms in options.profiles_ms:
            for way, values in _both_ways(frames, profile_ms).items():
                errors[f"positions/{kind}, {profile_ms:g} ms/{way}"] += values
    figures = []
    for name, values in errors.items():
        for share in (50, 95):
            value = float(np.percentile(values, share)) if values else float("nan")
            figures.append(Figure(f"{name}_p{share}", "cm", 100 * value, 100 * value, 100 * value, count=len(values)))
    return [*space_images.run(options.seed), *figures, *_costs()]


@dataclass
class _Known:
    """What a planner knows of one thing: its place in the frame of that moment's camera, and in the world."""

    smoothed: Array
    measured: Array
    world: Array


@dataclass
class _Planner:
    """Takes answers as they are published."""

    by_stamp: dict[int, SpaceFrame]
    locator: Locator = field(default_factory=Locator)
    in_world: Locator = field(default_factory=Locator)
    known: dict[int, _Known] = field(default_factory=dict)

    def take(self, published: PublishedAnswer) -> None:
        """The newest answer replaces all that was known."""
        seen = self.by_stamp[published.answer.stamp_ns]
        way = ("world", to_world(seen.scene.camera))
        near = self.locator.locate(published.answer, seen.frame).places
        far = self.in_world.locate(published.answer, seen.frame, way).places
        self.known = {
            thing: _Known(a.position_m, a.measured_m, b.position_m)
            for instance, a, b in zip(published.answer.instances, near, far, strict=True)
            if a is not None and b is not None and (thing := _thing_of(instance, seen.scene)) is not None
        }


def _thing_of(instance: Instance, scene: Scene) -> int | None:
    """Which thing a mask is of: the one that fills most of it; None = none does."""
    ids = scene.ids[instance.mask.window][instance.mask.inside]
    counts = np.bincount(ids, minlength=1)
    best = int(counts.argmax())
    return best or None


def _both_ways(frames: Sequence[SpaceFrame], profile_ms: float) -> dict[str, list[float]]:
    """Distance from the truth at each frame of each thing [m]: of ours, and of the usual way."""
    truth = [TruthFrame(f.frame, f.scene.ids, frozenset(f.places)) for f in frames]
    vocabulary, profile = oracle_vocabulary(), LatencyProfile.of_total_ms(profile_ms)
    found: dict[str, list[float]] = {}
    for name, options in (("ours", CARRIED), ("usual", USUAL)):
        run = VirtualRun(OracleSegmenter(truth), profile, options, vocabulary, charge_s=0)
        answers = run.run([f.frame for f in frames])
        for column, errors in _errors(frames, list(answers), smooths=name == "ours").items():
            found[f"{name}_{column}"] = errors
    return found


def _errors(frames: Sequence[SpaceFrame], answers: Sequence[PublishedAnswer], smooths: bool) -> dict[str, list[float]]:
    planner = _Planner({f.frame.stamp_ns: f for f in frames})
    columns: dict[str, list[float]] = {"raw": [], "smoothed": [], "world": []}
    waiting = list(answers)
    for seen in frames:
        while waiting and waiting[0].at_ns <= seen.frame.stamp_ns:
            planner.take(waiting.pop(0))
        way = to_world(seen.scene.camera)
        for thing, true in seen.places.items():
            if (known := planner.known.get(thing)) is None:
                continue
            there = way.points(true.position_m[:, None])[:, 0]
            columns["raw"].append(float(np.linalg.norm(known.measured - true.position_m)))
            columns["smoothed"].append(float(np.linalg.norm(known.smoothed - true.position_m)))
            columns["world"].append(float(np.linalg.norm(known.world - there)))
    return columns if smooths else {name: columns[name] for name in ("raw", "world")}


def _costs() -> Iterator[Figure]:
    """Of locating 8 things in one image, on one thread [ms of its time]."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for size in ((480, 640), (720, 1280)):
            yield from percentiles(
                f"positions_cost/{THINGS} at {size[1]}x{size[0]}", "ms", _costs_of(size), (10, 50, 95), "work_p"
            )
    finally:
        cv2.setNumThreads(threads)


def _costs_of(size: tuple[int, int]) -> list[float]:
    frame, answer = _eight_things(size)
    locator, spent = Locator(), []
    for _ in range(ROUNDS):
        begun_s = time.thread_time()
        locator.locate(answer, frame)
        spent.append(1000 * (time.thread_time() - begun_s))
    return spent[1:]  # the first one also undistorts


def _eight_things(size: tuple[int, int]) -> tuple[Frame, Segmentation]:
    """Balls side by side, in two rows, before a wall."""
    (h, w), stamp_ns = size, 10**9
    y, x = np.mgrid[:h, :w]
    depth, things = np.full(size, 2.0, np.float32), []
    for number in range(THINGS):
        away = ((x - w / 8 * (number % 4 * 2 + 1)) ** 2 + (y - h / 4 * (number // 4 * 2 + 1)) ** 2) / (h / 9) ** 2
        inside = away < 1
        depth[inside] = 1.2 - 0.1 * np.sqrt(1 - away[inside])
        things.append(Instance(number + 1, (), 0.9, True, stamp_ns, (0, 0, 1, 1), mask_from_array(inside)))
    measured = measure_depth(depth, DepthSensor(), np.random.default_rng(0))
    matrix = np.array([[w, 0, w / 2 - 0.5], [0, w, h / 2 - 0.5], [0, 0, 1.0]])
    calibration = CameraCalibration(matrix, np.array([0.1, -0.2, 0.001, 0, 0]), "plumb_bob", size, 1, "optical")
    image = np.zeros((h, w, 3), np.uint8)
    frame = Frame(image, stamp_ns, "optical", "", DepthImage(measured, stamp_ns, "optical"), calibration)
    return frame, Segmentation(stamp_ns, "optical", "", size, "m", 1, stamp_ns, (), tuple(things))
