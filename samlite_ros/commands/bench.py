"""`samlite bench`: what reuse buys and what it costs, on this machine."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from samlite_ros.bench.options import MODEL_NAMES, BenchOptions, quick
from samlite_ros.commands import bench_streaming

PARTS = {
    "reuse": "time per frame for constant phrases, late queries and still scenes, against the usual wrappers",
    "decode": "what the shared decoder saves per phrase, against the reference's",
    "messages": "images to RGB, masks to messages, against cv_bridge's way and byte-wise fields",
    "node": "the node over DDS: latency, rate, drops, CPU and memory",
    "memory": "memory per part, with and without the text encoder",
    "parity": "masks in half precision against float32",
    "gpu": "the full-size network on CUDA: eager and compiled, 1 to 16 phrases",
}
"""Modules of samlite_ros.bench with `run(options, on_step) -> list[Figure]`."""
QUICK = "seconds instead of an hour: the demo network, few phrases, one image size"


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = __doc__
    _add_options(parser)
    parser.set_defaults(part=None)
    parts = parser.add_subparsers(title="parts (all of them where none is named)", metavar="PART")
    for name, text in PARTS.items():
        part = parts.add_parser(name, help=text, description=text, argument_default=argparse.SUPPRESS)
        _add_options(part)  # without defaults: they would undo what was given before the part's name
        part.set_defaults(part=name)
    streaming = parts.add_parser("streaming", help=bench_streaming.HELP, description=bench_streaming.__doc__)
    bench_streaming.add_parser(streaming)
    streaming.set_defaults(part="streaming")


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
    add("--out", type=Path, help="folder of bench.json and the pictures (bench_out)")
    add("--compare", type=Path, metavar="OLD.json", help="show old and new figures side by side")


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write bench.json and the pictures."""
    if args.part == "streaming":
        return bench_streaming.run(args)
    from samlite_ros.bench.figures import comparison, load_report, save_report, tables
    from samlite_ros.bench.plots import draw_report
    from samlite_ros.bench.run import run_parts

    old = load_report(args.compare) if args.compare else None
    folder = args.out or Path("bench_out")
    path = folder / "bench.json"
    parts = (args.part,) if args.part else tuple(PARTS)
    report = run_parts(parts, bench_options(args), _Progress(), on_part=lambda so_far: save_report(so_far, path))
    print(tables(report.figures))
    failed = report.conditions["failed"]
    for name, reason in (*report.conditions["skipped"].items(), *failed.items()):
        print(f"\n{name} was not measured: {reason}")
    if old is not None:
        print(f"\n{comparison(old, report)}")
    pictures = draw_report(report, folder)
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
        "rate_hz": args.rate_hz,
    }
    return BenchOptions(**{**vars(defaults), **{k: v for k, v in given.items() if v is not None}})


class _Progress:
    """Says on stderr what runs, with the time since the start; at most one line a second."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()
        self._last_s = -1.0

    def __call__(self, step: str) -> None:
        now_s = time.monotonic() - self._start_s
        if now_s - self._last_s >= 1.0:
            self._last_s = now_s
            print(f"[{now_s:6.0f} s] {step}", file=sys.stderr, flush=True)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in MODEL_NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: expected some of {', '.join(MODEL_NAMES)}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    pairs = [part.split("x") for part in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise argparse.ArgumentTypeError(f"{text!r}: expected sizes such as 640x480,1920x1080")
    return tuple((int(width), int(height)) for width, height in pairs)
