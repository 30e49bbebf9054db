"""Runs parts of the benchmark and gathers one report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from samlite_ros.bench.figures import Figure, Report
from samlite_ros.bench.machine import OthersLoad, describe
from samlite_ros.bench.options import BenchOptions, SkippedPart
from samlite_ros.errors import SamliteError


def module_parts(
    names: Sequence[str], prefix: str, options: BenchOptions, on_step: Callable[[str], object]
) -> dict[str, Callable[[], list[Figure]]]:
    """Parts that are modules (prefix + name) with `run(options, on_step) -> list[Figure]`; imported when they run."""

    def run(name: str) -> list[Figure]:
        figures: list[Figure] = import_module(prefix + name).run(options, on_step)
        return figures

    return {name: partial(run, name) for name in names}


def run_parts(
    parts: Mapping[str, Callable[[], list[Figure]]],
    options: Mapping[str, Any],
    on_part: Callable[[Report], object] = lambda report: None,
) -> Report:
    """Run some parts one after the other.

    Args:
        parts: By name.
        options: What is measured, for the report.
        on_part: Given what there is so far after each part: a run takes an hour, and may be interrupted.

    Returns:
        All figures and the machine. The conditions hold the options, the cores that other processes kept busy
        meanwhile, the parts that cannot run here (no ROS, no GPU) and those that failed, with the reason.
    """
    report = Report(describe())
    busy: dict[str, float] = {}
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    report.conditions = {
        "options": dict(options),
        "cores_busy_with_others": busy,
        "skipped": skipped,
        "failed": failed,
    }
    for name, part in parts.items():
        with OthersLoad() as others:
            try:
                report.figures += part()
            except SkippedPart as reason:
                skipped[name] = str(reason)
            except ModuleNotFoundError as error:  # ROS is optional
                skipped[name] = f"there is no {error.name}"
            except Exception as error:  # an hour's other parts are worth having
                known = isinstance(error, SamliteError)
                failed[name] = str(error) if known else f"{type(error).__name__}: {error}"
                if not known:
                    logging.getLogger(__name__).exception("%s failed", name)
        busy[name] = round(others.cores, 2)
        on_part(report)
    return report
