"""Passes of the node under a camera that stands while one thing moves, without `reuse_tokens` and with it, in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from samlite_ros.bench.figures import Figure, derived, figure
from samlite_ros.bench.new_process import in_new_process
from samlite_ros.bench.node import SHARED, Measurement, Setting, measure_node
from samlite_ros.bench.node_process import NetworkTime
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.workload import MODELS
from samlite_ros.segmenter.options import SegmenterOptions

WITHOUT, WITH = "without", "with reuse_tokens"
ROUNDS = 3
SLOW, LONGER = "s0-504", 3
"""Full-size passes take seconds: they are watched for so many times as long; at 1008 px that would not be enough."""
NO_MASK = 1.0
"""Threshold for random weights, which would keep an arbitrary number of masks."""
SIZE = (640, 480)


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """The demo network, and full size at 504 px."""
    figures: list[Figure] = []
    for model in (m for m in options.models if m in ("demo", SLOW)):
        seconds = options.seconds * (LONGER if model == SLOW else 1)
        seen: dict[str, list[Measurement]] = {WITHOUT: [], WITH: []}
        for number in range(min(options.rounds or ROUNDS, ROUNDS)):
            for side, found in list(seen.items())[:: -1 if number % 2 else 1]:
                on_step(f"node: {model} {side}, round {number + 1}")
                setting = setting_of(MODELS[model], side == WITH, options.rate_hz)
                found.append(in_new_process(measure_node, setting, seconds))
        figures += figures_of(model, seen)
    return figures


def setting_of(model: SegmenterOptions, reuse: bool, rate_hz: float) -> Setting:
    """The node with a network, masks carried to every frame, under a camera that stands."""
    values = {
        "model": model.model,
        "backend": "torch",
        "image_size": str(model.image_size or 0),
        "reuse_tokens": str(reuse).lower(),
        **({} if model.model == "demo" else {"score_threshold": str(NO_MASK)}),
    }
    return replace(Setting(SIZE, SHARED, True, rate_hz), stands=True, more=tuple(values.items()))


def figures_of(model: str, seen: dict[str, list[Measurement]]) -> list[Figure]:
    """One row: passes a second and time of the network a pass of both sides, passes times more, tokens computed.

    Where a pass is shorter than a frame's time, passes come with frames, whatever they take.
    """
    name = f"node with reuse_tokens/{model}"
    figures = []
    for side, found in seen.items():
        figures.append(figure(f"{name}/passes a second, {side}", "Hz", [passes_a_s(m) for m in found]))
        passes_s = [t.wall_s for m in found for t in watched(m)]
        figures.append(figure(f"{name}/a pass, {side}", "s", passes_s))
        cpu_s = [t.cpu_s for m in found for t in watched(m)]
        figures.append(derived(f"{name}/CPU time of its thread a pass, {side}", "s", float(np.mean(cpu_s))))
        figures.append(derived(f"{name}/frames answered, {side}", "%", float(np.mean([answered(m) for m in found]))))
    pairs = zip(seen[WITHOUT], seen[WITH], strict=True)
    figures.append(figure(f"{name}/passes", "times more", [passes_a_s(b) / passes_a_s(a) for a, b in pairs]))
    computed = [t.computed for m in seen[WITH] for t in watched(m)]
    figures.append(derived(f"{name}/tokens computed", "%", 100 * float(np.mean(computed))))
    return figures


def watched(seen: Measurement) -> Sequence[NetworkTime]:
    """Passes over images that were sent while it was watched."""
    sent = set(seen.sent_ns)
    return [found for stamp_ns, found in seen.network.items() if stamp_ns in sent]


def passes_a_s(seen: Measurement) -> float:
    """Passes a second [Hz]."""
    return len(watched(seen)) / seen.elapsed_s


def answered(seen: Measurement) -> float:
    """Frames that were answered [%]."""
    return 100 * len({a.stamp_ns for a in seen.own()}) / max(len(seen.sent_ns), 1)
