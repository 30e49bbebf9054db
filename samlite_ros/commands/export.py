"""`samlite export`: a checkpoint as graphs for ONNX Runtime and TensorRT, with the proof that they agree."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from samlite_ros.commands.number_arguments import number
from samlite_ros.types import Prompt

if TYPE_CHECKING:
    from samlite_ros.segmenter.exported.manifest import Manifest

DESCRIPTION = """Write a model's network as four graphs (the image's in stages, proposals, masks, text) with its
tokenizer and export.json. A run that was interrupted goes on where it was. Parity with torch is measured on rendered
frames for every number of phrases; where it is broken, nothing is left that could be loaded. The folder is a model:
give it as --model, or as the parameter `model`."""
SMALL_PX = 336
"""Networks of larger inputs take minutes for a frame."""


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("model", metavar="MODEL", help="demo, a local folder, a hub id, or random:s0")
    add("-o", "--out", type=Path, metavar="DIR", help="default: where the backends look for it (~/.cache/samlite_ros)")
    add("--image-size", type=number(int, 1), metavar="PX", help="side of the network's input (the model's own)")
    add("--precision", choices=("fp32", "fp16"), default="fp32", help="default: %(default)s")
    add("--max-phrases", type=number(int, 1, 256), default=16, metavar="N", help="most decoded at once (%(default)s)")
    add("--frames", type=number(int, 0, 100), metavar="N", help="parity is measured on; 0 = it is not (4; 1 if large)")


def run(arguments: argparse.Namespace) -> int:
    """Export."""
    from samlite_ros.segmenter.export import check_libraries

    check_libraries()
    from samlite_ros.segmenter.export.export import Exporter, load_checkpoint, memory_gb
    from samlite_ros.segmenter.export.options import ExportOptions
    from samlite_ros.segmenter.exported.find import default_folder

    options = ExportOptions(arguments.model, arguments.image_size, arguments.precision, arguments.max_phrases)
    folder = arguments.out or default_folder(arguments.model)
    tell = _Told()
    tell(f"model {options.model} is loaded")
    backend = load_checkpoint(options)
    tell(f"about {memory_gb(backend.checkpoint):.1f} GB of memory are needed")
    exporter = Exporter(backend, folder, options, tell)
    frames = _frames(arguments.frames, backend.image_size)
    del backend
    if frames:
        exporter.ask(frames, [Prompt(phrase) for phrase in _phrases(options.max_prompts)])
    _show(exporter.export(), folder)
    return 0


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
    if not manifest.parity:
        print("parity was not measured")
        return
    print("phrases  score    presence  box [px]  mask IoU (least)")
    for count, found in manifest.parity.items():
        print(
            f"{count:>7}  {found['score']:.1e}  {found['presence']:.1e}   {found['box_px']:7.4f}"
            f"  {found['mask_iou']:.5f} ({found['least_mask_iou']:.5f})"
        )
