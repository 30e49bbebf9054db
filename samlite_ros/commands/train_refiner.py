"""`samlite train-refiner`: train the network that refines carried masks."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from samlite_ros.commands.number_arguments import number
from samlite_ros.errors import SamliteError


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
    parser.add_argument("--fold-steps", type=number(int, 1), default=2200, help="steps of each fold's network (2200)")
    parser.add_argument("--steps", type=number(int, 1), default=8000, help="steps of the last network (8000)")
    parser.add_argument("--share", type=number(float, 0, 100), default=1.0, help="share of the usual crops made (1)")


def run(args: Namespace) -> int:
    """Train.

    Raises:
        SamliteError: A library is missing, or the sequences are not as they should be.
    """
    try:
        from samlite_ros.training.refiner.train import Plan, train_refiner
    except ModuleNotFoundError as error:
        raise SamliteError(
            f"no {error.name}: pip install 'samlite_ros[train]' brings what the training needs"
        ) from error
    if not args.data.is_dir():
        raise SamliteError(f"{args.data}: no such folder")
    plan = Plan(args.fold_steps, args.steps, args.share)
    try:
        weights = train_refiner(args.data, args.folder, args.folds, plan, _say)
    except ValueError as error:
        raise SamliteError(f"{args.data}: {error}") from error
    print(f"weights in {weights}")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)
