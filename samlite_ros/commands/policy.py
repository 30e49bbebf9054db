"""`samlite policy`: an SROS 2 policy with the least rights of the node and of those who talk to it."""

from __future__ import annotations

import argparse
from pathlib import Path

from samlite_ros.access import Deployment, render_policy
from samlite_ros.errors import ParameterError
from samlite_ros.foreign.files import write_text
from samlite_ros.parameters.file import read_parameter_file
from samlite_ros.parameters.table import Parameters

DESCRIPTION = """An SROS 2 policy with an enclave for each role: samlite (the node), planner (asks, reads results),
camera, viewer (RViz, Foxglove), operator (parameters and lifecycle). Names are by the tables of topics that the node
itself is made of, and by its parameters: what is not in them is not allowed. docs/security.md says how to make keys
of it."""


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "--params-file", type=Path, metavar="FILE", help="the node's: cameras, transport, positions ..."
    )
    parser.add_argument("--node", default="/samlite", metavar="NAME", help="full name of the node (default: /samlite)")
    parser.add_argument(
        "--remap",
        nargs="+",
        action="extend",
        default=[],
        metavar="FROM:=TO",
        help="as the node is started: image:=/camera/image_raw",
    )
    parser.add_argument(
        "--peer",
        nargs="+",
        action="extend",
        default=[],
        metavar="ROLE:=NAME",
        help="full names of the others: planner:=/task_planner",
    )
    parser.add_argument("--use-sim-time", action="store_true", help="the node reads /clock")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="where to write it (default: standard output)")


def run(arguments: argparse.Namespace) -> int:
    """Write the policy."""
    deployment = Deployment(
        read_parameter_file(arguments.params_file) if arguments.params_file else Parameters(),
        arguments.node,
        _pairs(arguments.remap),
        arguments.use_sim_time,
        _pairs(arguments.peer),
    )
    policy = render_policy(deployment)
    if arguments.out:
        write_text(arguments.out, policy)
    else:
        print(policy, end="")
    return 0


def _pairs(words: list[str]) -> dict[str, str]:
    """By the first of each pair, which is given once."""
    pairs: dict[str, str] = {}
    for name, value in map(_pair, words):
        if pairs.setdefault(name, value) != value:
            raise ParameterError(f"{name[:80]!r} is given twice, as {pairs[name][:80]!r} and {value[:80]!r}")
    return pairs


def _pair(word: str) -> tuple[str, str]:
    name, sign, value = word.partition(":=")
    if not sign or not name or not value:
        raise ParameterError(f"{word[:80]!r} is no pair, expected e.g. image:=/camera/image_raw")
    return name, value
