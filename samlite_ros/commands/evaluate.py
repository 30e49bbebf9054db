"""`samlite evaluate`: how good are the answers? Those in a bag, against truth; or a model's, on rendered scenes."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace, _ArgumentGroup
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from samlite_ros.commands.backend_arguments import add_backend_arguments
from samlite_ros.commands.number_arguments import number
from samlite_ros.errors import SamliteError
from samlite_ros.foreign.files import write_text
from samlite_ros.foreign.words import printable

_SHOWN = (
    "recall",
    "precision",
    "mean_iou",
    "absent_false_positive_rate",
    "hard_absent_false_positive_rate",
    "presence_accuracy",
    "heldout_recall",
    "other_pairs_recall",
    "image_ms",
    "decode_ms",
)
FAILURE_FOLDER = Path("evaluation_out")
"""Where the pictures go when a limit is not held and nobody said where."""


def add_parser(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = __doc__
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measures here")
    _add_bag_arguments(parser.add_argument_group("answers in a bag, against truth"))
    _add_scene_arguments(parser.add_argument_group("a model, on rendered scenes"))


def _add_bag_arguments(group: _ArgumentGroup) -> None:
    group.add_argument("result", type=Path, nargs="?", metavar="RESULT", help="a bag with answers")
    group.add_argument("--truth", type=Path, help="COCO instances with stamps (.json, or a folder of them), or a bag")
    group.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for the report and the pictures; default: none, or evaluation_out where a limit is not held",
    )
    group.add_argument("--baseline", type=Path, metavar="JSON", help="an earlier report to compare with")
    for option, limit in (
        ("--fail-below", "fail where a metric is below this (above, where less is better)"),
        ("--fail-drop", "fail where a metric is worse than in the baseline by more than this"),
    ):
        group.add_argument(option, action="append", default=[], metavar="METRIC[@PHRASE]=VALUE", help=limit)
    group.add_argument("--worst", type=number(int, 0), default=9, metavar="N", help="number of worst frames to draw")
    group.add_argument("--images", type=Path, metavar="BAG", help="where their images are; default: in the result")
    group.add_argument("--image-topic", action="append", default=[], metavar="[NAME=]TOPIC")
    group.add_argument("--no-contours", action="store_true", help="leave out the contour measure F, which is slow")
    group.add_argument(
        "--grace-ms",
        type=number(float, 0, 1e6),
        default=0.0,
        metavar="MS",
        help="streaming IoU: an answer so late still stands for its frame [ms]",
    )


def _add_scene_arguments(group: _ArgumentGroup) -> None:
    group.add_argument("--scenes", type=number(int, 1), metavar="N", help="number of rendered scenes")
    group.add_argument("--seed", type=number(int, 0), default=0, help="which scenes; no seed is one that training used")
    group.add_argument("--picture", type=Path, metavar="PNG", help="draw recall and IoU by object size here")
    group.add_argument("--model", default="demo", help="demo, a local folder or a hub id")
    add_backend_arguments(group)
    group.add_argument("--threads", type=number(int, 0), default=0, help="threads of the network; 0 = what suits it")


def run(args: Namespace) -> int:
    """Evaluate, print and write; 1 where a limit is not held or nothing can be evaluated, 2 for wrong usage."""
    if (args.result is None) == (args.scenes is None) or (args.result is not None and args.truth is None):
        print("samlite evaluate: give RESULT --truth TRUTH, or --scenes N", file=sys.stderr)
        return 2
    return _run_bag(args) if args.result is not None else _run_scenes(args)


def _run_bag(args: Namespace) -> int:
    from samlite_ros.bags.dependencies import check_libraries

    check_libraries()
    from samlite_ros.evaluation.evaluate import EvaluateOptions, evaluate_bag
    from samlite_ros.evaluation.evaluation import EvaluationOptions
    from samlite_ros.evaluation.places import places_line
    from samlite_ros.evaluation.report import parse_gate, table

    options = EvaluateOptions(
        folder=args.out,
        failure_folder=FAILURE_FOLDER,
        report=args.json,
        baseline=args.baseline,
        fail_below=tuple(parse_gate(text) for text in args.fail_below),
        fail_drop=tuple(parse_gate(text) for text in args.fail_drop),
        worst=args.worst,
        images=args.images,
        image_topics=tuple(args.image_topic),
        evaluation=EvaluationOptions(contours=not args.no_contours, grace_ns=round(args.grace_ms * 1e6)),
    )
    verdict = evaluate_bag(args.result, args.truth, options)
    print(table(verdict.content))
    if places := verdict.content.get("places"):
        print(f"places: {places_line(places['overall'])}")
    for line in verdict.changes:
        print(f"against the baseline: {line}")
    if verdict.folder:
        print(f"report and pictures: {verdict.folder}")
    for line in (*(f"failed: {f}" for f in verdict.failures), *(f"fault: {f}" for f in verdict.faults)):
        print(printable(line), file=sys.stderr)
    return 1 if verdict.failures or verdict.faults else 0


def _run_scenes(args: Namespace) -> int:
    from samlite_ros.segmenter import SegmenterOptions, load_segmenter
    from samlite_ros.training.evaluate_scenes import evaluate_scenes

    try:
        segmenter = load_segmenter(
            SegmenterOptions(args.model, threads=args.threads, backend=args.backend, provider=args.provider)
        )
    except (SamliteError, ValueError) as error:
        print(f"samlite evaluate: {error}", file=sys.stderr)
        return 1
    progress = partial(tqdm, unit="scene", disable=None)  # no bar where the output is no terminal
    measures = evaluate_scenes(segmenter, args.scenes, args.seed, progress)
    _write(args, measures)
    for name in _SHOWN:
        print(f"{name:32} {_text(measures[name])}")
    return 0


def _write(args: Namespace, measures: dict[str, Any]) -> None:
    if args.json:
        settings = {name: getattr(args, name) for name in ("scenes", "seed", "model", "threads", "backend")}
        write_text(args.json, json.dumps(measures | {"settings": settings}, indent=2) + "\n")
    if args.picture:
        from samlite_ros.training.size_curve import draw_size_curve

        draw_size_curve(measures["by_size_px"], args.picture)


def _text(value: float | None) -> str:
    return "nothing to measure" if value is None else f"{value:.3f}"
