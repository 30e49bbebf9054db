"""`samlite train-demo`: train the demo checkpoint from scratch."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path


def add_parser(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Renders the scenes, trains a fixed number of steps, and writes the checkpoint to FOLDER/model and the "
        "learning curve to FOLDER/curve.png. An interrupted call continues when it is repeated."
    )
    parser.add_argument("--folder", type=Path, default=Path("train-demo"), help="scenes, states, log, result")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch; more help only on an idle machine")
    parser.add_argument("--workers", type=int, default=2, help="processes that render")


def run(args: Namespace) -> int:
    """Train; 1 where a library is missing."""
    try:
        from samlite_ros.training.recipe import Recipe
        from samlite_ros.training.train import train_demo
    except ModuleNotFoundError as error:
        print(f"samlite train-demo: no {error.name}: pip install 'samlite_ros[torch,plots]'", file=sys.stderr)
        return 1

    folder = train_demo(args.folder, Recipe(), args.threads, args.workers)
    print(f"checkpoint in {folder}")
    return 0
