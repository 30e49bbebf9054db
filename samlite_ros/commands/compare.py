"""`samlite compare`: two results side by side."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from samlite_ros.commands.number_arguments import number
from samlite_ros.foreign.words import printable


def add_parser(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = __doc__
    parser.add_argument("a", type=Path, metavar="A", help="a bag with answers")
    parser.add_argument("b", type=Path, metavar="B", help="another, of the same images")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="folder for the report and the contact sheet")
    parser.add_argument("--worst", type=number(int, 0), default=6, metavar="N", help="number of frames on the sheet")
    parser.add_argument("--images", type=Path, metavar="BAG", help="where the images are; default: in A or B")
    parser.add_argument("--image-topic", action="append", default=[], metavar="[NAME=]TOPIC")


def run(args: Namespace) -> int:
    """Compare, print and write; 0 whatever they differ in, 1 where one is damaged."""
    from samlite_ros.bags.dependencies import check_libraries

    check_libraries()
    from samlite_ros.evaluation.compare import compare, table, to_json, write_comparison

    comparison = compare(args.a, args.b)
    print(table(to_json(comparison)))
    if args.out:
        blank = write_comparison(args.a, args.b, comparison, args.out, args.worst, args.images, args.image_topic)
        print(f"report and pictures: {args.out}")
        if blank:
            print(f"{blank} frames are drawn on grey, their images are not there: --images BAG names the recording")
    for fault in comparison.faults:
        print(f"fault: {printable(fault)}", file=sys.stderr)
    return 1 if comparison.faults else 0
