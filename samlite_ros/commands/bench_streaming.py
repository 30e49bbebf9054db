"""`samlite bench streaming`: answers at camera rate from a slow network, against the usual way, on a virtual clock.

Without further options it measures accuracy, still scenes, late queries and cost: about a quarter of an hour on two
idle cores. --quick takes a minute or two, --all about three quarters of an hour.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
from contextlib import closing
from pathlib import Path
from typing import Any

from samlite_ros.commands.number_arguments import number
from samlite_ros.errors import SamliteError

HELP = "accuracy at every camera frame with a slow network, on a virtual clock; and through the node"
QUICK_FRAMES = 60
LEAST_FRAMES = 30
RATE_HZ = 30.0
SETS = ("development", "held-out")
SECTIONS = ("accuracy", "still", "late", "cost", "parts", "network", "live", "node")
"""As in `bench.streaming`, which takes seconds to import."""
NODE_S = 60.0


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--seed", type=number(int, 0), default=0, help="of the rendered sequences (0)")
    add("--profiles", type=_profiles, default=(126.0, 250.0, 950.0), metavar="MS", help="passes [ms] (126,250,950)")
    add("--json", type=_file, default=Path("bench_out/streaming.json"), metavar="FILE", help="figures; pictures beside")
    add("--frames", type=number(int, LEAST_FRAMES), default=150, help="per sequence (150)")
    add("--sets", type=_sets, default=SETS, metavar="NAMES", help=f"sequences ({','.join(SETS)})")
    what = parser.add_argument_group("what is measured, with the time it takes on two idle cores")
    add = what.add_argument
    add("--quick", action="store_true", help="few frames, the main table only; 2 minutes")
    add("--only", type=_sections, metavar="NAMES", help=f"nothing but these: some of {','.join(SECTIONS)}")
    add("--all", action="store_true", help="all of them; 45 minutes")
    add("--parts", action="store_true", help="also each part's worth, by leaving it out; 12 minutes")
    add("--network", nargs="?", const="demo", metavar="MODEL", help="also with a real network in the loop; 4 minutes")
    add("--live", action="store_true", help="also late queries with real networks, demo and full-size; 6 minutes")
    seconds = f"also through the real node over DDS; needs ROS; so long a profile ({NODE_S:.0f}) and 15 s more"
    add("--node", nargs="?", type=number(float, 1), const=NODE_S, metavar="SECONDS", help=seconds)
    held = "share of its time in which the node's fake network holds the interpreter, 0 to 1 (0.5, as a real one does)"
    add("--held", type=number(float, 0, 1), metavar="SHARE", help=held)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables, write the JSON file and the pictures beside it."""
    sections = chosen_sections(arguments)
    if "node" in sections and importlib.util.find_spec("rclpy") is None:
        raise SamliteError("the node needs ROS 2, and there is no rclpy here: source your ROS, or leave --node out")
    from samlite_ros.bench.streaming.sections import run_bench
    from samlite_ros.bench.streaming_pictures import draw
    from samlite_ros.bench.streaming_progress import ProgressBar
    from samlite_ros.bench.streaming_report import tables
    from samlite_ros.bench.streaming_timeline import draw_timeline

    _make_folder(arguments.json)
    with closing(ProgressBar()) as progress:
        report = run_bench(bench_options(arguments, sections), progress)
    arguments.json.write_text(json.dumps(_without_nan(report), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(tables(report))
    pictures = len(draw(report, arguments.json.parent))
    if "accuracy" in sections:
        pictures += draw_timeline(arguments.json.parent / "streaming_timeline.png", arguments.seed)
    print(f"\n{arguments.json} and {pictures} pictures written")
    return 0


def chosen_sections(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Names of what is measured, in the order of SECTIONS."""
    from samlite_ros.bench.streaming.sections import DEFAULT_SECTIONS

    chosen = {"accuracy"} if arguments.quick else set(DEFAULT_SECTIONS)
    if arguments.only is not None:
        chosen = set(arguments.only)
    also = {"parts": arguments.parts, "network": arguments.network, "live": arguments.live, "node": arguments.node}
    chosen |= {name for name, wanted in also.items() if wanted}
    return tuple(name for name in SECTIONS if arguments.all or name in chosen)


def _make_folder(file: Path) -> None:
    """Now, and not after a quarter of an hour.

    Raises:
        SamliteError: It cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SamliteError(f"no folder for {file}: {error}") from error


def bench_options(arguments: argparse.Namespace, sections: tuple[str, ...]) -> Any:
    """Defaults, then --quick, then what was given: a `StreamingBenchOptions`.

    Raises:
        SamliteError: The sequences end before a pass does.
    """
    from samlite_ros.bench.streaming.sections import MAIN, StreamingBenchOptions

    frames = min(arguments.frames, QUICK_FRAMES) if arguments.quick else arguments.frames
    if {"accuracy", "parts", "network"} & set(sections):
        _check_length(frames, max(arguments.profiles))
    given = {
        "variants": (MAIN,) if arguments.quick else None,
        "network": arguments.network,
        "node_seconds": arguments.node,
        "held_share": arguments.held,
    }
    return StreamingBenchOptions(
        seed=arguments.seed,
        profiles_ms=arguments.profiles,
        sets=arguments.sets,
        frames=frames,
        sections=sections,
        **{name: value for name, value in given.items() if value is not None},
    )


def _check_length(frames: int, pass_ms: float) -> None:
    seconds = frames / RATE_HZ
    if pass_ms >= 1e3 * seconds:
        raise SamliteError(
            f"sequences of {frames} frames, {seconds:.1f} s, end before a pass of {pass_ms:g} ms does: more --frames"
        )


def _without_nan(value: Any) -> Any:
    """The same with null for numbers that JSON has not: the overlap of what was never in sight."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _profiles(text: str) -> tuple[float, ...]:
    one = number(float, 1, 60_000)
    return tuple(dict.fromkeys(one(part) for part in text.split(",")))


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text!r} is a folder: expected a file such as {text.rstrip('/')}/streaming.json"
        )
    return path


def _sets(text: str) -> tuple[str, ...]:
    return _names(text, SETS)


def _sections(text: str) -> tuple[str, ...]:
    return _names(text, SECTIONS)


def _names(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(map(repr, unknown))}: expected some of {','.join(known)}")
    return names
