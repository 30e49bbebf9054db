"""`samlite evaluate`: how good are the answers?"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path
from typing import Any

from tqdm import tqdm

from samlite_ros.errors import SamliteError

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


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("evaluate", help="recall, precision and timing on rendered scenes")
    parser.add_argument("--scenes", type=int, required=True, metavar="N", help="number of rendered scenes")
    parser.add_argument("--seed", type=int, default=0, help="which scenes; no seed is one that training used")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measures here")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw recall and IoU by object size here")
    parser.add_argument("--model", default="demo", help="demo, a local folder or a hub id")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0 = what suits the network")
    parser.set_defaults(run=run)


def run(args: Namespace) -> int:
    """Evaluate, print and write; 1 where the model cannot be loaded."""
    from samlite_ros.demo.evaluate_scenes import evaluate_scenes
    from samlite_ros.segmenter import SegmenterOptions, load_segmenter

    try:
        segmenter = load_segmenter(SegmenterOptions(model=args.model, threads=args.threads))
    except (SamliteError, ValueError) as error:
        print(f"samlite evaluate: {error}", file=sys.stderr)
        return 1
    measures = evaluate_scenes(segmenter, args.scenes, args.seed, lambda numbers: tqdm(numbers, unit="scene"))
    _write(args, measures)
    for name in _SHOWN:
        print(f"{name:32} {_text(measures[name])}")
    return 0


def _write(args: Namespace, measures: dict[str, Any]) -> None:
    if args.json:
        settings = {"scenes": args.scenes, "seed": args.seed, "model": args.model, "threads": args.threads}
        args.json.write_text(json.dumps(measures | {"settings": settings}, indent=2) + "\n", encoding="utf-8")
    if args.picture:
        from samlite_ros.demo.size_curve import draw_size_curve

        draw_size_curve(measures["by_size_px"], args.picture)


def _text(value: float | None) -> str:
    return "nothing to measure" if value is None else f"{value:.3f}"
