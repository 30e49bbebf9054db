"""`samlite make-bag`: a small bag with ground truth, from rendered scenes."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from samlite_ros.commands.number_arguments import number
from samlite_ros.scenes import KINDS

SMALLEST_PX, LARGEST_PX = 16, 4096


def add_parser(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = __doc__
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write: a bag, and truth.json beside it")
    parser.add_argument("--kind", choices=KINDS, default="fly", help="how camera and objects move")
    parser.add_argument("--seed", type=number(int, 0), default=1, help="chooses the scene")
    parser.add_argument("--frames", type=number(int, 1), default=60)
    parser.add_argument("--rate", type=number(float, 0.001, 1000), default=30.0, help="frames per second [Hz]")
    parser.add_argument("--size", type=size, default="640x480", help="width x height [px]")
    parser.add_argument("--phrase", action="append", default=[], help="whose truth to write; default: what is seen")
    parser.add_argument("--image-topic", type=topic, default="/camera/image")
    parser.add_argument(
        "--jpeg", type=number(int, 0, 100), default=0, metavar="QUALITY", help="compressed images, 1 to 100"
    )
    parser.add_argument(
        "--depth", action="store_true", help="depth images and calibration beside the images, true places in truth.json"
    )
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap")


def size(text: str) -> tuple[int, int]:
    """(H, W) [px] of 'WIDTHxHEIGHT'."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    sides = (int(match[2]), int(match[1])) if match else (0, 0)
    if not all(SMALLEST_PX <= side <= LARGEST_PX for side in sides):
        raise ArgumentTypeError(f"expected WIDTHxHEIGHT, each from {SMALLEST_PX} to {LARGEST_PX} px, got {text!r}")
    return sides


def topic(text: str) -> str:
    """A topic's full name."""
    if not re.fullmatch(r"(/[A-Za-z_]\w*)+", text, re.ASCII):
        raise ArgumentTypeError(f"expected a topic such as /camera/image, got {text!r}")
    return text


def run(args: Namespace) -> int:
    """Write the bag and its truth."""
    from samlite_ros.bags.dependencies import check_libraries

    check_libraries()
    from samlite_ros.demo.make_bag import MadeBag, make_bag
    from samlite_ros.scenes import SequenceOptions

    scenes = SequenceOptions(size=args.size, rate_hz=args.rate, frames=args.frames)
    phrases = tuple(args.phrase)
    made = MadeBag(args.kind, args.seed, scenes, phrases, args.image_topic, args.depth, args.jpeg, args.storage)
    print(f"bag {args.out}, truth {make_bag(args.out, made)}")
    return 0
