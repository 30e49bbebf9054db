"""Timing two or more ways of doing the same thing fairly: in turn, in one run, with medians and their intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Sample(NamedTuple):
    """One timed call.

    Args:
        wall_s: Elapsed time [s].
        cpu_s: CPU time of this process, all threads [s]; what other processes take does not enter.
    """

    wall_s: float
    cpu_s: float


class Summary(NamedTuple):
    """A median and its interval.

    Args:
        median: The median.
        low, high: Interval of the median from order statistics; it assumes no distribution.
        coverage: Probability that the interval holds the true median, 0 to 1; below 0.95 only where there are fewer
            than 6 values, for then the interval is all of them.
        number: Of values.
    """

    median: float
    low: float
    high: float
    coverage: float
    number: int


def measure(call: Callable[[], object], finish: Callable[[], object] | None = None) -> Sample:
    """Time one call; `finish` waits for what it left running on a GPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    if finish is not None:
        finish()
    return Sample(time.perf_counter() - wall, time.process_time() - cpu)


def interleave(
    sides: Mapping[str, Callable[[], object]],
    rounds: int,
    on_call: Callable[[str], object] | None = None,
    finish: Callable[[], object] | None = None,
) -> dict[str, list[Sample]]:
    """Time several ways in turn, A B C, A B C ..., so that a change of the machine's speed meets all of them.

    Args:
        sides: Name to call.
        rounds: Samples of each.
        on_call: Told each name before it runs.
        finish: See `measure`.

    Returns:
        Samples by name; the i-th samples of all sides are neighbours in time.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, call in sides.items():
            if on_call is not None:
                on_call(name)
            samples[name].append(measure(call, finish))
    return samples


def summarise(values: Sequence[float]) -> Summary:
    """Median and its interval, at least 95 % sure where there are 6 values or more.

    Raises:
        ValueError: There are no values.
    """
    if not len(values):
        raise ValueError("a median needs at least one value")
    ordered = np.sort(np.asarray(values, np.float64))
    count = len(ordered)
    dropped = 0
    while 2 * (dropped + 1) < count and _coverage(count, dropped + 1) >= 0.95:
        dropped += 1
    low, high = ordered[dropped], ordered[count - 1 - dropped]
    return Summary(float(np.median(ordered)), float(low), float(high), _coverage(count, dropped), count)


def _coverage(count: int, dropped: int) -> float:
    """Probability that the median lies between the order statistics that remain when `dropped` go at either end."""
    outside: float = sum(math.comb(count, i) for i in range(dropped + 1)) / 2**count
    return max(1.0 - 2.0 * outside, 0.0)
