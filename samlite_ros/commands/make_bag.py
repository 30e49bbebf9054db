"""`samlite make-bag`: a small bag with ground truth, from rendered scenes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def add_parser(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    from samlite_ros.bags.make_bag import add_arguments

    parser.description = __doc__
    add_arguments(parser)


def run(args: Namespace) -> int:
    """Write the bag and its truth."""
    from samlite_ros.bags.make_bag import made_bag_from, make_bag

    truth = make_bag(args.out, made_bag_from(args))
    print(f"bag {args.out}, truth {truth}")
    return 0
