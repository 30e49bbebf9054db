"""The demo: a rendered camera, the node and a planner on a real ROS graph, scored against the truth.

samlite demo --out demo_out
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from samlite_ros.client import PlannerClient, QueryOutcome, Verdict, things_of
from samlite_ros.demo.circumstances import MachineLoad, Traffic, load_average
from samlite_ros.demo.observer import Arrival, Observer, Way
from samlite_ros.demo.phrases import choose_phrases, visible_phrases
from samlite_ros.demo.scene_camera import SceneDescription
from samlite_ros.demo.score import score_frame
from samlite_ros.errors import SamliteError
from samlite_ros.evaluation.measures.detection import DetectionCounts, pooled
from samlite_ros.foreign.files import make_folder
from samlite_ros.messages.fill import stamp_ns
from samlite_ros.messages.read import read_mask
from samlite_ros.node.facts import is_load_failure
from samlite_ros.node.processes import private_graph, running

START_TIMEOUT_S = 120.0
ANSWER_TIMEOUT_S = 20.0
TOLD_EVERY_S = 10.0
"""So often it is told what is waited for."""
GALLERY = 5
"""So many of the scene's things are asked for in the end, all at once, for the pictures."""
GALLERY_S = 6.0
WAY_MESSAGES = 30
"""So many images and short messages are timed on their way."""


@dataclass(frozen=True)
class DemoOptions:
    """What to show.

    Args:
        scene: What the camera renders.
        model, backend: As the node's parameters of these names.
        seconds: How long to measure [s].
        out: Folder for logs and pictures.
    """

    scene: SceneDescription
    model: str
    seconds: float
    out: Path
    backend: str = "auto"


@dataclass(frozen=True)
class Absent:
    """What became of the phrase that names nothing.

    Args:
        phrase: The phrase.
        found: True where the node claims to have found it.
        presence: Its presence score.
        seconds: From asking to the verdict [s].
    """

    phrase: str
    found: bool
    presence: float
    seconds: float


@dataclass(frozen=True)
class Gallery:
    """Several phrases at once.

    Args:
        found: Whether any of the answers holds what it names, by phrase.
        answers: To all of them.
    """

    found: dict[str, bool]
    answers: list[Arrival]


@dataclass(frozen=True)
class DemoResult:
    """What was seen.

    Args:
        scene: What the camera rendered.
        phrase: What was asked for.
        answers: Every answer of the measured time.
        latencies_s: From publishing a frame to the arrival of its answer [s].
        way: What of that messages take.
        scores: Over all answers.
        rate_hz: Answers a second [Hz].
        absent: The other phrase.
        traffic: What became of the camera's frames while it was measured.
        load: How busy the machine was.
        gallery: What became of several phrases that were asked for at once, for the pictures.
    """

    scene: SceneDescription
    phrase: str
    answers: list[Arrival]
    latencies_s: list[float]
    way: Way
    scores: DetectionCounts
    rate_hz: float
    absent: Absent
    traffic: Traffic
    load: MachineLoad
    gallery: Gallery

    @property
    def latencies_ms(self) -> tuple[float, float]:
        """p50 and p95 of the time from publishing a frame to its answer's arrival [ms]."""
        p50, p95 = np.percentile(self.latencies_s, (50, 95)) * 1e3
        return float(p50), float(p95)


def run_demo(options: DemoOptions) -> DemoResult:
    """Start everything, ask, measure, stop.

    Raises:
        SamliteError: Something did not start, did not answer, or did not end well.
    """
    make_folder(options.out)
    sequence = options.scene.sequence()
    phrase, absent_phrase = choose_phrases(sequence)
    load_before = load_average()
    _tell(f"starting a camera and the node, whose logs are in {options.out}")
    with _graph() as observer, running(*_camera(options)), running(*_node(options)):
        observer.wait_for_scene(START_TIMEOUT_S)
        _tell(f"asking for {phrase!r}")
        observer.planner.ask(phrase)
        _verdict(observer, phrase, START_TIMEOUT_S)
        before = observer.next_counts(ANSWER_TIMEOUT_S)
        answers, rate_hz = _measure(observer, options.seconds)
        after, load = observer.next_counts(ANSWER_TIMEOUT_S), MachineLoad.since(load_before)
        latencies_s = observer.latencies_s(answers, ANSWER_TIMEOUT_S)
        _tell("timing what messages take")
        way = observer.measure_way(WAY_MESSAGES, ANSWER_TIMEOUT_S)
        traffic = observer.traffic(before, after, options.scene.rate)
        _tell(f"asking for {absent_phrase!r}, which is not there")
        absent = _ask_absent(observer, absent_phrase)
        gallery = _ask_many(observer, visible_phrases(sequence, GALLERY))
        scene = observer.scene
    if scene is None or not latencies_s:
        raise SamliteError(f"no frame was answered in {options.seconds} s; the logs are in {options.out}")
    scores = _score(scene, phrase, answers)
    return DemoResult(scene, phrase, answers, latencies_s, way, scores, rate_hz, absent, traffic, load, gallery)


def bar_interval_s() -> float:
    """How often a bar of progress is drawn [s]: each time is a line where there is no terminal."""
    return 0.1 if sys.stderr.isatty() else 5.0


def _tell(text: str) -> None:
    """Where bars go, too."""
    tqdm.write(f"{text} ...", file=sys.stderr)


@contextmanager
def _graph() -> Iterator[Observer]:
    os.environ.update(private_graph())
    with PlannerClient("demo") as planner:
        yield Observer(planner)


def _camera(options: DemoOptions) -> tuple[str, list[str], Path]:
    given = asdict(options.scene)
    del given["start_ns"]  # the camera's own to say
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    return (
        "samlite_ros.demo.scene_camera",
        [*words, "-r", "image:=/scene_camera/image"],
        options.out / "scene_camera.log",
    )


def _node(options: DemoOptions) -> tuple[str, list[str], Path]:
    image = "/scene_camera/image"
    # Raw images are larger than what the middleware buffers by default: best effort loses many of them.
    reliable = f"qos_overrides.{image}.subscription.reliability:=reliable"
    chosen = ["-p", f"model:={options.model}", "-p", f"backend:={options.backend}"]
    words = [*chosen, "-p", reliable, "-r", f"image:={image}"]
    return "samlite_ros.node.main", words, options.out / "samlite_node.log"


def _verdict(observer: Observer, phrase: str, timeout_s: float) -> QueryOutcome:
    """What became of a phrase that was asked for; while that is not known, tells now and then what it waits for.

    Raises:
        SamliteError: That was not known within the time, or never will be: it was refused, or there is no network.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        left_s = max(deadline_s - time.monotonic(), 0.0)
        outcome = observer.planner.wait_for_outcome(phrase, min(left_s, TOLD_EVERY_S))
        if outcome.verdict in (Verdict.FOUND, Verdict.NOT_FOUND):
            return outcome
        if outcome.verdict is not Verdict.UNKNOWN or is_load_failure(outcome.reason) or left_s <= TOLD_EVERY_S:
            waited_s = timeout_s + time.monotonic() - deadline_s
            raise SamliteError(f"waited {waited_s:.0f} s for a verdict on {phrase!r}, in vain: {outcome}")
        _tell(f"waiting for an answer to {phrase!r}: {outcome.reason or 'the node is busy with it'}")


def _measure(observer: Observer, seconds: float) -> tuple[list[Arrival], float]:
    """Collect the answers of some seconds; returns them and their rate [Hz]."""
    observer.arrivals.clear()
    start_s = time.monotonic()
    bar_format = "{desc} {bar} {n:.0f}/{total:.0f} s"
    with tqdm(total=seconds, desc="watching", bar_format=bar_format, mininterval=bar_interval_s()) as bar:
        while (elapsed_s := time.monotonic() - start_s) < seconds:
            observer.planner.spin_until(lambda: False, min(seconds - elapsed_s, 0.1))
            bar.update(min(elapsed_s, seconds) - bar.n)
        bar.update(seconds - bar.n)
    return list(observer.arrivals), len(observer.arrivals) / elapsed_s


def _ask_absent(observer: Observer, phrase: str) -> Absent:
    start_s = time.monotonic()
    observer.planner.ask(phrase)
    outcome = _verdict(observer, phrase, ANSWER_TIMEOUT_S)
    observer.planner.withdraw(phrase)
    return Absent(phrase, outcome.verdict is Verdict.FOUND, outcome.presence, time.monotonic() - start_s)


def _ask_many(observer: Observer, phrases: Sequence[str]) -> Gallery:
    _tell(f"asking for {', '.join(map(repr, phrases))} at once, for the pictures")
    for phrase in phrases:
        observer.planner.ask(phrase)
    for phrase in phrases:
        _verdict(observer, phrase, ANSWER_TIMEOUT_S)
    answers = _measure(observer, GALLERY_S)[0]
    found = {phrase: any(things_of(answer.message, phrase) for answer in answers) for phrase in phrases}
    return Gallery(found, answers)


def _score(scene: SceneDescription, phrase: str, answers: list[Arrival]) -> DetectionCounts:
    sequence = scene.sequence()
    scores = []
    for answer in tqdm(answers, desc="scoring", unit=" frames", mininterval=bar_interval_s()):
        truth = sequence[scene.index_of(stamp_ns(answer.message.header.stamp))]
        instances = answer.message.instances
        scores.append(score_frame(truth, phrase, [read_mask(i) for i in instances], [i.confidence for i in instances]))
    return pooled(scores)
