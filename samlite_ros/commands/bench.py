"""`samlite bench`: what reuse buys and what it costs, on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from samlite_ros.bench.options import MODEL_NAMES, BenchOptions, quick
from samlite_ros.commands import bench_device, bench_streaming
from samlite_ros.errors import SamliteError

if TYPE_CHECKING:
    from samlite_ros.bench.figures import Figure

PARTS = {
    "reuse": "time per frame for constant phrases and late queries, against the usual wrappers",
    "passes": "one pass of the image encoder: against the reference, and of some tokens only",
    "token_reuse": "what reuse_tokens does to answers, on rendered scenes that move",
    "budget": "phrases that take turns: waits, throughput, a slow machine; looking back",
    "gpu": "the network's parts on CUDA: eager and compiled, 1 to 16 phrases",
    "node": "the node over DDS: latency, rate, drops, CPU and memory; late queries; beside busy networks",
    "node_tokens": "passes of the node under a camera that stands, without and with reuse_tokens",
    "memory": "memory per part, with and without the text encoder",
}
"""Modules of samlite_ros.bench with `run(options, on_step) -> list[Figure]`."""
QUICK = "seconds instead of an hour: the demo network, few phrases, one image size"


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = __doc__
    parts = add_parts(parser, PARTS)
    streaming = parts.add_parser("streaming", help=bench_streaming.HELP, description=bench_streaming.__doc__)
    bench_streaming.add_parser(streaming)
    streaming.set_defaults(part="streaming")
    device = parts.add_parser("device", help=bench_device.HELP, description=bench_device.__doc__)
    bench_device.add_parser(device)
    device.set_defaults(part="device")


def add_parts(parser: argparse.ArgumentParser, texts: Mapping[str, str]) -> Any:
    """Declare the options, and parts that share them; returns the subparsers."""
    _add_options(parser)
    parser.set_defaults(part=None)
    parts = parser.add_subparsers(title="parts (all of them where none is named)", metavar="PART")
    for name, text in texts.items():
        part = parts.add_parser(name, help=text, description=text, argument_default=argparse.SUPPRESS)
        _add_options(part)  # without defaults: they would undo what was given before the part's name
        part.set_defaults(part=name)
    return parts


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--quick", action="store_true", default=parser.argument_default or False, help=QUICK)
    add("--model", type=_names, metavar="NAMES", help=f"comma-separated, of {', '.join(MODEL_NAMES)}")
    add("--phrases", type=_numbers, metavar="COUNTS", help="numbers of phrases, such as 1,4,8,16")
    add("--rounds", type=int, help="interleaved rounds of each comparison")
    add("--kept", type=int, help="masks kept per phrase, on both sides")
    add("--device", help="auto, cpu, cuda ...")
    add("--dtype", help="auto, float32, bfloat16, float16")
    add("--threads", type=int, help="CPU threads of torch")
    add("--sizes", type=_sizes, metavar="SIZES", help="camera images, such as 640x480,1920x1080")
    add("--seconds", type=float, help="how long the node is measured in each setting")
    add("--rate", dest="rate_hz", type=float, help="rate of the node's camera [Hz]")
    add("--busy", dest="busy_ms", type=_times, metavar="MS", help="passes of the node's busy networks, such as 126,950")
    add("--late", dest="late_queries", type=int, metavar="N", help="number of late queries that the node is asked")
    add("--out", type=Path, help="folder of bench.json and the pictures (bench_out)")
    add("--compare", type=Path, metavar="OLD.json", help="show old and new figures side by side")


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write bench.json and the pictures."""
    if args.part == "streaming":
        return bench_streaming.run(args)
    if args.part == "device":
        return bench_device.run(args)
    return run_modules(args, tuple(PARTS), "samlite_ros.bench.")


def run_modules(args: argparse.Namespace, names: tuple[str, ...], prefix: str) -> int:
    """Measure the chosen part, or all of these; see `bench.run.module_parts`."""
    check_psutil()
    from samlite_ros.bench.run import module_parts

    options = bench_options(args)
    path = (args.out or Path("bench_out")) / "bench.json"
    with tqdm(bar_format="{elapsed} {desc}", file=sys.stderr, disable=None) as line:
        parts = module_parts((args.part,) if args.part else names, prefix, options, line.set_description_str)
        return measure(parts, asdict(options), path, args.compare)


def check_psutil() -> None:
    """Raise a SamliteError with the line to type where it is missing: the benchmark measures others' load with it."""
    if find_spec("psutil") is None:
        raise SamliteError(f"the benchmark needs psutil. Type: {sys.executable} -m pip install psutil")


def measure(
    parts: Mapping[str, Callable[[], list[Figure]]], options: Mapping[str, Any], path: Path, compare: Path | None
) -> int:
    """Measure parts, print their tables, write the report and the pictures beside it.

    Args:
        parts: By name.
        options: What is measured, for the report.
        path: Of the report; written anew after each part.
        compare: An earlier report; None = none.

    Returns:
        1 where a part failed.
    """
    check_psutil()
    from samlite_ros.bench.figures import comparison, load_report, save_report, tables
    from samlite_ros.bench.plots import draw_report
    from samlite_ros.bench.run import run_parts

    old = load_report(compare) if compare else None
    report = run_parts(parts, options, on_part=lambda so_far: save_report(so_far, path))
    print(tables(report.figures))
    failed = report.conditions["failed"]
    for name, reason in (*report.conditions["skipped"].items(), *failed.items()):
        print(f"\n{name} was not measured: {reason}")
    if old is not None:
        print(f"\n{comparison(old, report)}")
    pictures = draw_report(report, path.parent)
    print(f"\n{path} and {len(pictures)} pictures written")
    return 1 if failed else 0


def bench_options(args: argparse.Namespace) -> BenchOptions:
    """Defaults, then --quick, then what was given."""
    defaults = BenchOptions()
    if args.quick:
        defaults = quick(defaults)
    given = {
        "models": args.model,
        "phrase_counts": args.phrases,
        **{name: getattr(args, name) for name in ("rounds", "kept", "device", "dtype", "threads", "sizes")},
        "seconds": args.seconds,
        **{name: getattr(args, name) for name in ("rate_hz", "busy_ms", "late_queries")},
    }
    return BenchOptions(**{**vars(defaults), **{k: v for k, v in given.items() if v is not None}})


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in MODEL_NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: expected some of {', '.join(MODEL_NAMES)}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _times(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    pairs = [part.split("x") for part in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise argparse.ArgumentTypeError(f"{text!r}: expected sizes such as 640x480,1920x1080")
    return tuple((int(width), int(height)) for width, height in pairs)
