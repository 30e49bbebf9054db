"""Beyond the sequences: still scenes, late queries, cost, and the node itself, as steps of the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from samlite_ros.bench.streaming.cost import COUNTS, SIZES, cost_row
from samlite_ros.bench.streaming.late import late_queries
from samlite_ros.bench.streaming.still import SENSORS, entering_things, still_scene
from samlite_ros.bench.streaming_progress import Step

if TYPE_CHECKING:
    from samlite_ros.bench.streaming.sections import StreamingBenchOptions

Rows = dict[str, Any]
FULL_SIZE_S, DEMO_S = 270.0, 30.0
"""Late queries with a full-size network, and with the demo's: time for the progress bar [s]."""
NODE_EXTRA_S = 14.0
"""Starting and ending the node [s]."""


def extra_steps(options: StreamingBenchOptions, report: dict[str, Any]) -> list[Step]:
    """Steps of the sections that are asked for; each puts its figures into the report."""
    sections: dict[str, Callable[[StreamingBenchOptions, dict[str, Any]], list[Step]]] = {
        "node": _node_steps,  # what may fail for reasons of the machine comes first
        "live": _live_steps,
        "still": _still_steps,
        "late": _late_steps,
        "cost": _cost_steps,
    }
    return [step for name, make in sections.items() if name in options.sections for step in make(options, report)]


def _put(rows: Rows, name: str, measure: Callable[[], Any]) -> None:
    rows[name] = measure()


def _still_steps(options: StreamingBenchOptions, report: dict[str, Any]) -> list[Step]:
    seed, profiles_ms = options.seed, options.profiles_ms
    still, entering = report.setdefault("still", {}), report.setdefault("entering", {})
    steps = [
        Step(
            f"still scene, sensor {name}",
            10.0,
            partial(_put, still, name, partial(still_scene, seed, profiles_ms, name)),
        )
        for name in SENSORS
    ]
    return steps + [
        Step(
            f"things that enter a still scene, {p:g} ms",
            7.0 + 0.012 * p,
            partial(_put, entering, f"{p:g}", partial(entering_things, seed, p)),
        )
        for p in profiles_ms
    ]


def _late_steps(options: StreamingBenchOptions, report: dict[str, Any]) -> list[Step]:
    rows = report.setdefault("late", {})
    return [
        Step(
            f"late queries, {p:g} ms",
            8.0 + 0.03 * p,
            partial(_put, rows, f"{p:g}", partial(late_queries, options.seed, p)),
        )
        for p in options.profiles_ms
    ]


def _cost_steps(options: StreamingBenchOptions, report: dict[str, Any]) -> list[Step]:
    rows = report.setdefault("cost", {})
    steps = []
    for size in SIZES:
        for count in COUNTS:
            name = f"{count} at {size[1]}x{size[0]}"
            about_s = (4.0 + 0.3 * count) * size[0] * size[1] / (480 * 640)
            measure = partial(cost_row, options.seed, count, size)
            steps.append(Step(f"cost: {name}", about_s, partial(_put, rows, name, measure)))
    return steps


def _live_steps(options: StreamingBenchOptions, report: dict[str, Any]) -> list[Step]:
    from samlite_ros.bench.streaming_late_live import late_queries_live  # torch takes seconds

    rows = report.setdefault("live", {})
    return [
        Step(
            f"late queries, {model}, live",
            DEMO_S if model == "demo" else FULL_SIZE_S,
            partial(_put, rows, model, partial(late_queries_live, model, options.seed)),
        )
        for model in options.live_models
    ]


def _node_steps(options: StreamingBenchOptions, report: dict[str, Any]) -> list[Step]:
    from samlite_ros.bench.streaming_node import through_the_node  # needs ROS

    rows = report.setdefault("node", {})
    seconds, held_share = options.node_seconds, options.held_share
    return [
        Step(
            f"through the node, {p:g} ms",
            seconds + NODE_EXTRA_S,
            partial(_put, rows, f"{p:g}", partial(through_the_node, options.seed, p, seconds, held_share)),
        )
        for p in options.profiles_ms
    ]
