"""Runs parts of the benchmark and gathers one report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module

from samlite_ros.bench.figures import Report
from samlite_ros.bench.machine import OthersLoad, describe
from samlite_ros.bench.options import BenchOptions, SkippedPart


def run_parts(names: Sequence[str], options: BenchOptions, on_step: Callable[[str], object]) -> Report:
    """Run some parts one after the other.

    Args:
        names: Modules of this package that have `run(options, on_step) -> list[Figure]`.
        options: What to measure.
        on_step: Told what runs next.

    Returns:
        All figures and the machine. The conditions hold the options, the cores that other processes kept busy
        meanwhile, and the parts that cannot run here (no ROS, no GPU) with the reason.
    """
    report = Report(describe())
    busy: dict[str, float] = {}
    skipped: dict[str, str] = {}
    for name in names:
        with OthersLoad() as others:
            try:
                report.figures += import_module(f"samlite_ros.bench.{name}").run(options, on_step)
            except SkippedPart as reason:
                skipped[name] = str(reason)
            except ModuleNotFoundError as error:  # ROS is optional
                skipped[name] = f"there is no {error.name}"
        busy[name] = round(others.cores, 2)
    report.conditions = {"options": asdict(options), "cores_busy_with_others": busy, "skipped": skipped}
    return report
