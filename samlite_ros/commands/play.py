"""`samlite play`: publish a bag at its own pace, on machines without `ros2 bag`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from samlite_ros.commands.number_arguments import number
from samlite_ros.foreign.words import printable

ONLY_WITH_ROS = "samlite play publishes on a ROS 2 graph, and there is no {}: source a ROS 2 installation"


def add_parser(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = __doc__
    parser.add_argument("bag", type=Path, metavar="BAG", help="folder, .mcap or .db3 file")
    parser.add_argument("--topic", action="append", default=[], help="play only this topic; may be repeated")
    parser.add_argument(
        "--rate", type=number(float, 1e-6, 1e6), default=1.0, help="of the recorded pace; 2 = twice as fast"
    )
    parser.add_argument("--loop", action="store_true", help="begin again at the end, until interrupted")
    parser.add_argument(
        "--clock",
        type=number(float, 1e-3, 1e6),
        nargs="?",
        const=40.0,
        default=0.0,
        metavar="HZ",
        help="publish /clock; default 40 Hz",
    )
    parser.add_argument(
        "--wait",
        type=number(float, 0, 1e9),
        default=0.0,
        metavar="S",
        help="wait at most so long for subscribers of every topic [s]",
    )
    parser.add_argument("--delay", type=number(float, 0, 1e9), default=0.0, metavar="S", help="then wait so long [s]")
    parser.add_argument("--reliable", action="store_true", help="offer reliably also what was recorded as best effort")


def run(args: Namespace) -> int:
    """Play; 1 where the bag is damaged or a topic's type is not installed."""
    from samlite_ros.bags.dependencies import check_libraries

    check_libraries()
    from samlite_ros.bags.reader import BagReader
    from samlite_ros.play.schedule import PlayOptions

    try:
        from samlite_ros.play.player import play
    except ModuleNotFoundError as error:
        print(ONLY_WITH_ROS.format(error.name), file=sys.stderr)
        return 1
    options = PlayOptions(tuple(args.topic), args.rate, args.loop, args.clock, args.wait, args.delay, args.reliable)
    with BagReader(args.bag) as reader:
        published = play(reader, options)
        faults = reader.faults
    print(f"{published} messages published")
    for fault in faults:
        print(f"fault: {printable(fault)}", file=sys.stderr)
    return 1 if faults else 0
