"""`samlite replay`: what would the robot have seen? A bag through the node's code, into a new bag."""

from __future__ import annotations

import signal
import sys
import time
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from samlite_ros.commands.backend_arguments import add_backend_arguments
from samlite_ros.foreign.words import printable
from samlite_ros.virtual.latency import PROFILES_MS

if TYPE_CHECKING:
    from samlite_ros.replay.replay import ReplayOptions

DONE, FAULTY = 0, 1
DESCRIPTION = """What would the robot have seen? Feeds every frame of a bag once, in the order of the stamps, through
the code of the node on a virtual clock. Exit status: 0 = all well; 1 = something is wrong with the bag or with a query:
it is named, and the results so far are kept."""


def add_parser(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    parser.add_argument("bag", type=Path, metavar="BAG", help="folder, .mcap or .db3 file")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--image-topic",
        action="append",
        default=[],
        metavar="[NAME=]TOPIC",
        help="raw or compressed images; several cameras need names; default: the only one there is",
    )
    _add_queries(parser)
    _add_node(parser)
    _add_result(parser)


def _add_queries(parser: ArgumentParser) -> None:
    parser.add_argument("--query", action="append", default=[], metavar="PHRASE", help="search from the first frame on")
    parser.add_argument("--script", type=Path, metavar="YAML", help="queries added, replaced and removed over time")
    parser.add_argument("--queries-from-bag", action="store_true", help="ask what was asked in the bag")


def _add_node(parser: ArgumentParser) -> None:
    parser.add_argument("--model", help="demo, a local folder or a hub id; default: that of the parameters")
    add_backend_arguments(parser, default=None)
    parser.add_argument("--params", type=Path, metavar="YAML", help="the node's parameter file")
    parser.add_argument(
        "--propagate",
        action=BooleanOptionalAction,
        help="answer every frame at once, with masks carried to it, or only those the network saw, with what it found; "
        "default: with --latency as the parameters say, without it every frame is answered with what was found in it",
    )
    parser.add_argument(
        "--latency",
        default="0",
        metavar="PROFILE",
        help=f"how long a pass takes: {', '.join(PROFILES_MS)}, milliseconds with one phrase, or milliseconds "
        "ENCODE,DECODE; default: no time",
    )


def _add_result(parser: ArgumentParser) -> None:
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap")
    parser.add_argument("--compress", action="store_true", help="zstd")
    parser.add_argument("--label-images", action="store_true", help="write label, confidence and instance images too")
    parser.add_argument("--images", action="store_true", help="write the original images too")
    parser.add_argument("--overlay-video", action="store_true", help="write overlay.mp4 too")


def run(args: Namespace) -> int:
    """Replay; see `bags.replay.replay`."""
    from samlite_ros.bags.dependencies import check_libraries

    check_libraries()
    from samlite_ros.replay.replay import prepared
    from samlite_ros.segmenter.load import load_segmenter

    options = _options(args)
    with prepared(args.bag, args.out, options) as ready:
        segmenter = load_segmenter(options.parameters.segmenter_options())
        began_s = time.monotonic()
        with tqdm(unit="frame", disable=None, file=sys.stderr) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            with _ended_as_interrupted():
                outcome = ready.run(segmenter, progress)
    wall_s = time.monotonic() - began_s
    summary = outcome.summary
    print(
        f"{summary['answers']} answers to {summary['frames']} frames in {wall_s:.1f} s "
        f"({summary['frames'] / wall_s:.1f} frames/s), in {args.out}"
    )
    for phrase, values in summary["phrases"].items():
        print(f"  {phrase}: in {values['seen_in']} of {values['answers']} answers")
    for fault in outcome.faults:
        print(f"fault: {printable(fault)}", file=sys.stderr)
    return FAULTY if outcome.faults else DONE


@contextmanager
def _ended_as_interrupted() -> Iterator[None]:
    """SIGTERM (a job that is cancelled, a shutdown) as Ctrl-C: the results so far are kept."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _options(args: Namespace) -> ReplayOptions:
    from samlite_ros.parameters.file import read_parameter_file
    from samlite_ros.parameters.table import Parameters
    from samlite_ros.replay.replay import ReplayOptions
    from samlite_ros.replay.result_writer import ResultOptions
    from samlite_ros.virtual.latency import NO_LATENCY, parse_profile

    profile = parse_profile(args.latency)
    exact = False if profile == NO_LATENCY else None
    chosen = {
        **{name: getattr(args, name) for name in ("model", "backend", "provider")},
        "propagate": exact if args.propagate is None else args.propagate,
    }
    parameters = read_parameter_file(args.params) if args.params else Parameters()
    return ReplayOptions(
        image_topics=tuple(args.image_topic),
        phrases=tuple(part for text in args.query for part in text.split(",")),
        script=args.script,
        queries_from_bag=args.queries_from_bag,
        parameters=replace(parameters, **{k: v for k, v in chosen.items() if v is not None}),
        profile=profile,
        result=ResultOptions(
            storage=args.storage,
            compressed=args.compress,
            label_images=args.label_images,
            images=args.images,
            video=args.overlay_video,
        ),
    )
