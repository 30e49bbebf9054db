"""`samlite export`: a checkpoint as graphs for ONNX Runtime and TensorRT, with the proof that they agree."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from samlite_ros.commands.calibration_frames import RENDERED, read_frames
from samlite_ros.commands.number_arguments import number
from samlite_ros.errors import ExportError
from samlite_ros.types import Prompt

if TYPE_CHECKING:
    from samlite_ros.segmenter.export.int8 import Calibration
    from samlite_ros.segmenter.exported.manifest import Manifest

DESCRIPTION = """Write a model's network as four graphs (the image's in stages, proposals, masks, text) with its
tokenizer and export.json. A run that was interrupted goes on where it was. Parity with torch is measured on rendered
frames for every number of phrases; where it is broken, nothing is left that could be loaded. The folder is a model:
give it as --model, or as the parameter `model`."""
JUDGED_EVERY = 3
WORDS = 17
"""Rendered scenes are asked for so many words, one of which names whatever there is."""
SMALL_PX = 336
"""Networks of larger inputs take minutes for a frame."""


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("model", metavar="MODEL", help="demo, a local folder, a hub id, or random:s0")
    add("-o", "--out", type=Path, metavar="DIR", help="default: where the backends look for it (~/.cache/samlite_ros)")
    add("--image-size", type=number(int, 1), metavar="PX", help="side of the network's input (the model's own)")
    add("--precision", choices=("fp32", "fp16", "int8"), default="fp32", help="default: %(default)s")
    add("--max-phrases", type=number(int, 1, 256), default=16, metavar="N", help="most decoded at once (%(default)s)")
    add("--frames", type=number(int, 0, 100), metavar="N", help="parity is measured on; 0 = it is not (4; 1 if large)")
    add = parser.add_argument_group("int8: the image's graphs, calibrated on what the robot sees").add_argument
    add("--calibrate", metavar="FOLDER|BAG", help="images; every third is judged by; 'rendered' for the demo network")
    add("--phrases", metavar="A,B", help="what is judged by; some must be in the images")
    add("--image-topic", default="", metavar="TOPIC", help="of a bag (its only one)")
    add("--calibration-frames", type=number(int, 8, 10_000), metavar="N", help="read of it (384; 48 if large)")


def run(arguments: argparse.Namespace) -> int:
    """Export."""
    from samlite_ros.segmenter.export import check_libraries

    check_libraries()
    from samlite_ros.segmenter.export.export import Exporter, load_checkpoint, memory_gb
    from samlite_ros.segmenter.export.options import ExportOptions
    from samlite_ros.segmenter.exported.find import default_folder

    options = ExportOptions(arguments.model, arguments.image_size, arguments.precision, arguments.max_phrases)
    check_calibration(arguments)
    folder = arguments.out or default_folder(arguments.model)
    tell = _Told()
    tell(f"model {options.model} is loaded")
    backend = load_checkpoint(options)
    tell(f"about {memory_gb(backend.checkpoint):.1f} GB of memory are needed")
    exporter = Exporter(backend, folder, options, tell, _calibration(arguments, backend.image_size))
    frames = _frames(arguments.frames, backend.image_size)
    del backend
    if frames:
        exporter.ask(frames, [Prompt(phrase) for phrase in _phrases_of_both_lengths(options.max_prompts)])
    _show(exporter.export(), folder)
    return 0


def check_calibration(arguments: argparse.Namespace) -> None:
    """Refuse what belongs to int8 without it, and int8 without what it needs, before a network is loaded.

    Raises:
        ExportError: See above.
    """
    given = [f"--{n}" for n in ("calibrate", "phrases", "image-topic") if getattr(arguments, n.replace("-", "_"))]
    if arguments.precision != "int8":
        if given:
            raise ExportError(f"{', '.join(given)}: expected --precision int8 beside it")
        return
    if not arguments.calibrate:
        raise ExportError("--precision int8 needs --calibrate: a folder of images such as the robot sees, or a bag")
    if not arguments.phrases and arguments.calibrate != RENDERED:
        raise ExportError("--precision int8 needs --phrases: what is to be found in the images, 'red mug,exit sign'")


def _calibration(arguments: argparse.Namespace, image_size: int) -> Calibration | None:
    from samlite_ros.segmenter.export.int8 import Calibration

    if arguments.precision != "int8":
        return None
    count = arguments.calibration_frames or (384 if image_size <= SMALL_PX else 48)
    frames = read_frames(arguments.calibrate, arguments.image_topic, count)
    judged = frames[JUDGED_EVERY - 1 :: JUDGED_EVERY]
    others = [frame for place, frame in enumerate(frames, 1) if place % JUDGED_EVERY]
    named = [part.strip() for part in (arguments.phrases or "").split(",") if part.strip()]
    return Calibration(others, judged, named or _phrases(WORDS))


class _Told:
    """Lines with the seconds since the first."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._began_s:6.0f} s  {line}", file=sys.stderr, flush=True)


def _frames(count: int | None, image_size: int) -> list[NDArray[np.uint8]]:
    from samlite_ros.scenes.render import render_scene

    chosen = count if count is not None else 4 if image_size <= SMALL_PX else 1
    return [render_scene(seed).image for seed in range(9_000_000, 9_000_000 + chosen)]


def _phrases_of_both_lengths(count: int) -> list[str]:
    """Short ones, and in their middle one of more tokens than they are padded to."""
    phrases = _phrases(count)
    if count > 1:
        phrases[(count - 1) // 2] = " ".join(_phrases(9)[1:])
    return phrases


def _phrases(count: int) -> list[str]:
    from samlite_ros.scenes.vocabulary import COLOURS, SHAPES

    pairs = [f"{colour} {shape}" for shape in SHAPES for colour in COLOURS]
    words = ["object", *pairs]
    return [words[i % len(words)] for i in range(count)]


def _show(manifest: Manifest, folder: Path) -> None:
    size = sum((folder / name).stat().st_size for graph in manifest.graphs for name in graph.files)
    print(
        f"{folder}: {len(manifest.graphs)} graphs, {manifest.precision}, {manifest.image_size} px, {size / 1e6:.1f} MB"
    )
    if manifest.findings:
        told = ", ".join(f"{name} {value:.4g}" for name, value in manifest.findings.items())
        print(f"int8, of what float32 finds: {told}")
    if not manifest.parity:
        print("parity was not measured")
        return
    print("phrases  score    presence  box [px]  mask IoU (least)")
    for count, found in manifest.parity.items():
        print(
            f"{count:>7}  {found['score']:.1e}  {found['presence']:.1e}   {found['box_px']:7.4f}"
            f"  {found['mask_iou']:.5f} ({found['least_mask_iou']:.5f})"
        )
