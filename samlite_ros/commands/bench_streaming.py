"""`samlite bench streaming`: answers at camera rate from a slow network, against the usual way, on a virtual clock."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

HELP = "accuracy at every camera frame with a slow network, on a virtual clock"
QUICK_FRAMES = 60


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of the rendered sequences (0)")
    add("--profiles", type=_numbers, default=(126.0, 250.0, 950.0), metavar="MS", help="passes [ms] (126,250,950)")
    add("--json", type=Path, default=Path("bench_out/streaming.json"), metavar="FILE", help="where figures go")
    add("--frames", type=int, default=150, help="per sequence (150)")
    add("--sets", type=_words, default=("development", "held-out"), metavar="NAMES", help="development,held-out")
    add("--quick", action="store_true", help="a minute: few frames, the main table only")
    add("--parts", action="store_true", help="also each part's worth, by leaving it out")
    add("--network", metavar="MODEL", help="also with this checkpoint in the loop, such as demo")


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables, write the JSON file and the pictures beside it."""
    from samlite_ros.bench.streaming import MAIN, VARIANTS, StreamingBenchOptions, run_bench
    from samlite_ros.bench.streaming_report import draw, tables
    from samlite_ros.bench.streaming_timeline import draw_timeline

    options = StreamingBenchOptions(
        seed=arguments.seed,
        profiles_ms=arguments.profiles,
        sets=arguments.sets,
        frames=QUICK_FRAMES if arguments.quick else arguments.frames,
        variants=(MAIN,) if arguments.quick else tuple(VARIANTS),
        extras=not arguments.quick,
        parts=arguments.parts,
        network=arguments.network,
    )
    report = run_bench(options, _Progress())
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(_without_nan(report), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(tables(report))
    pictures = draw(report, arguments.json.parent)
    timeline = draw_timeline(arguments.json.parent / "streaming_timeline.png", arguments.seed)
    print(f"\n{arguments.json} and {len(pictures) + timeline} pictures written")
    return 0


def _without_nan(value: Any) -> Any:
    """The same with null for numbers that JSON has not: the overlap of what was never in sight."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Progress:
    """Says on stderr what runs; at most a line every two seconds."""

    def __init__(self) -> None:
        self._start_s = self._last_s = time.monotonic()

    def __call__(self, step: str) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s >= 2.0:
            self._last_s = now_s
            print(f"[{now_s - self._start_s:6.0f} s] {step}", file=sys.stderr, flush=True)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
