"""`samlite doctor`: what on this machine keeps the node from working, and what to do about it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from samlite_ros.commands.number_arguments import number
from samlite_ros.doctor import Finding, Level, Rounds, examine
from samlite_ros.doctor.finding import worst
from samlite_ros.doctor.rounds import line, report
from samlite_ros.foreign.files import write_text, writing

DESCRIPTION = """Look at everything that the node needs, and say what to do where something is not right: Python,
packages, ROS, memory, disk, shared memory, socket buffers, clock, model, network, middleware (images are sent through
it), and the running graph: the nodes' own diagnostics, who publishes their images, QoS that does not fit. Works without
ROS, without torch and without a model, and says what could not be looked at. Status: 0, or 1 where there is an
ERROR."""


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    parser.add_argument("--params-file", type=Path, metavar="FILE", help="the node's parameters: its model, device ...")
    parser.add_argument("--model", default="", help="demo, a local folder or a hub id (default: as the parameters say)")
    parser.add_argument("--load", action="store_true", help="load the model for a trial however large it is")
    parser.add_argument(
        "--listen",
        type=number(float, 0, 600),
        default=3.0,
        metavar="S",
        help="watch the graph so long; 0 = not (default: 3)",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="Markdown for an issue, without names and paths of yours"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the rounds, print each finding as it is made; returns 1 where one is an error."""
    if arguments.report:  # asked before the rounds, which take their time
        with writing(arguments.report):
            arguments.report.open("a").close()
    rounds = Rounds(arguments.params_file, arguments.model, arguments.load, arguments.listen)
    findings = examine(rounds, _print)
    if arguments.report:
        write_text(arguments.report, report(findings))
        print(f"report: {arguments.report}")
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    print(f"{counts[Level.ERROR]} errors, {counts[Level.WARN]} warnings")
    return int(worst(findings) is Level.ERROR)


def _print(finding: Finding) -> None:
    print(line(finding))
    sys.stdout.flush()
