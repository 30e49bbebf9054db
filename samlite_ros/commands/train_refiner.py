"""`samlite train-refiner`: train the network that refines carried masks."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path


def add_parser(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Cuts crops out of real, cut-out and rendered sequences, trains one network per fold and then the last one, "
        "and writes it to FOLDER/final/refiner.onnx. An interrupted call continues when it is repeated."
    )
    parser.add_argument("data", type=Path, help="real sequences with masks, as DAVIS lays them out")
    parser.add_argument("--folder", type=Path, default=Path("train-refiner"), help="crops, states, result")
    parser.add_argument(
        "--folds", default="", help="sequences of a kind, a,b;c,d: links are made by networks that saw none of the kind"
    )
    parser.add_argument("--fold-steps", type=int, default=2200, help="steps of each fold's network")
    parser.add_argument("--steps", type=int, default=8000, help="steps of the last network")


def run(args: Namespace) -> int:
    """Train; 1 where a library is missing."""
    try:
        from samlite_ros.training.refiner.train import train_refiner
    except ModuleNotFoundError as error:
        print(f"samlite train-refiner: no {error.name}: pip install {error.name}", file=sys.stderr)
        return 1
    weights = train_refiner(args.data, args.folder, args.folds, args.fold_steps, args.steps, _say)
    print(f"weights in {weights}")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)
