"""`samlite segment`: find phrases in image files."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.commands.backend_arguments import add_backend_arguments
from samlite_ros.commands.image_arguments import STDIN, split_arguments
from samlite_ros.commands.number_arguments import number
from samlite_ros.errors import ImageDecodeError
from samlite_ros.foreign.files import make_folder, read_bounded, read_stream, write_bytes
from samlite_ros.foreign.limits import IMAGE_BYTES
from samlite_ros.foreign.words import printable, reason
from samlite_ros.pixels.codecs import check_size, codec_of, other_size, read_header
from samlite_ros.pixels.masks import encode_rle
from samlite_ros.types import DecodeOptions, Frame, Instance, Prompt, PromptResult, Query, QueryKey, QueryMatch

if TYPE_CHECKING:
    from samlite_ros.segmenter.contract import Segmenter

DESCRIPTION = """Find phrases in image files. Every argument that names an existing image is an image, and - the one on
standard input; every other one is a phrase, or several with commas between, unless it looks like a path (an image's
suffix, or a slash), which is an error. --phrase takes any phrase. Exit status: 0 = all images were read, 1 = not all,
or the model could not be loaded, 2 = wrong usage."""

DEMO_KNOWS = "model demo knows rendered balls, boxes, cones and cylinders, and no photographs; others: --model"

PLAIN_CODECS = ("JPEG", "PNG")
"""Those that an image is best saved as."""
MAX_NAME_BYTES = 80
"""Of an image's name and of a phrase in the names of pictures; file systems take 255 in all."""


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    parser.add_argument("items", nargs="+", metavar="IMAGE|PHRASE", help="image files, then phrases")
    parser.add_argument("--phrase", action="append", default=[], help="a phrase, whatever it looks like; repeatable")
    parser.add_argument("--model", default="demo", help="demo, a local folder or a hub id (default: %(default)s)")
    add_backend_arguments(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default: %(default)s)")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16 (default: %(default)s)")
    parser.add_argument(
        "--threshold", type=number(float, 0, 1), default=0.5, help="least score, 0 to 1 (default: %(default)s)"
    )
    parser.add_argument(
        "--image-size", type=number(int, 1), help="side of the network's input [px] (default: the model's own)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="write overlays and masks (PNG) there")


def run(arguments: argparse.Namespace) -> int:
    """Segment every image; those that cannot be read are named, and the others still done."""
    try:
        images, phrases = split_arguments(arguments.items, arguments.phrase)
    except ValueError as error:
        print(f"samlite segment: {error}", file=sys.stderr)
        return 2
    segmenter = _load(arguments)
    prompts = segmenter.embed_prompts([Prompt(phrase) for phrase in phrases])
    options = [DecodeOptions(arguments.threshold)] * len(phrases)
    names = _output_names(images)
    entries: list[dict[str, Any]] = []
    failed = False
    for path in images:
        try:
            image = read_image(path)
        except ImageDecodeError as error:
            print(f"samlite segment: {printable(str(error))}", file=sys.stderr)
            failed = True
            continue
        results = segmenter.segment(segmenter.embed_image(Frame(image, 0)), prompts, options)
        entries += [_entry(path, result) for result in results]
        if not arguments.json:
            print("\n".join(_table(path, results)))
        if arguments.out:
            count = _write_pictures(arguments.out, names[path], image, results)
            print(printable(f"{path}: {count} pictures written to {arguments.out}"), file=sys.stderr)
    if arguments.json:
        print(json.dumps(entries))
    if entries and arguments.model == "demo":
        print(f"samlite segment: {DEMO_KNOWS}", file=sys.stderr)
    return 1 if failed else 0


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file; uint8 (H, W, 3), RGB.

    Raises:
        ImageDecodeError: It cannot be read, or is no image.
    """
    try:
        data = _read(path)
    except OSError as error:
        raise ImageDecodeError(f"{path} cannot be read: {reason(error)}") from error
    try:
        if read_header(data) is None:
            check_size(*(other_size(data) or (1, 1)))
    except ImageDecodeError as error:
        raise ImageDecodeError(f"{path}: {error}") from error
    try:
        is_known = read_header(data) is not None or other_size(data) is not None
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if is_known else None
    except cv2.error:
        image = None
    if image is None:
        codec = codec_of(data)
        remedy = f"it holds {codec}: save it as JPEG or PNG" if codec else "it is damaged, or of an unknown format"
        remedy = f"the {codec} is damaged, or of a kind that nobody writes" if codec in PLAIN_CODECS else remedy
        raise ImageDecodeError(f"{path} is not an image that can be read: {remedy}")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _read(path: Path) -> bytes:
    if str(path) != STDIN:
        return read_bounded(path, IMAGE_BYTES)
    if sys.stdin is None:
        raise OSError("there is no standard input")
    return read_stream(sys.stdin.buffer, "standard input", IMAGE_BYTES)


def _load(arguments: argparse.Namespace) -> Segmenter:
    from samlite_ros.segmenter import SegmenterOptions, load_segmenter

    return load_segmenter(
        SegmenterOptions(
            model=arguments.model,
            device=arguments.device,
            dtype=arguments.dtype,
            image_size=arguments.image_size,
            backend=arguments.backend,
            provider=arguments.provider,
        )
    )


def _entry(path: Path, result: PromptResult) -> dict[str, Any]:
    """One element of the JSON list."""
    instances = [
        {
            "score": round(float(score), 6),
            "box_xyxy": [round(float(v), 2) for v in box],
            "area": mask.area,
            "rle": {"size": list(mask.size), "counts": encode_rle(mask).tolist()},
        }
        for score, box, mask in zip(result.scores, result.boxes_xyxy, result.masks, strict=True)
    ]
    return {
        "image": str(path),
        "phrase": result.prompt.display,
        "presence": round(result.presence, 6),
        "instances": instances,
    }


def _table(path: Path, results: Sequence[PromptResult]) -> Iterator[str]:
    """One line per instance, and one for each phrase that was not found."""
    width = max(len("label"), *(len(r.prompt.display) for r in results))
    yield printable(str(path))
    yield f"  {'label':{width}}  score  {'box x0 y0 x1 y1 [px]':>23}  area [px]"
    for result in results:
        if not len(result.scores):
            yield f"  {result.prompt.display:{width}}  not found (presence {result.presence:.2f})"
        for score, box, mask in zip(result.scores, result.boxes_xyxy, result.masks, strict=True):
            corners = " ".join(f"{v:5.0f}" for v in box)
            yield f"  {result.prompt.display:{width}}  {score:5.2f}  {corners}  {mask.area:9d}"


def _output_names(images: Sequence[Path]) -> dict[Path, str]:
    """Names without suffix for each image's outputs, all different."""
    stems = ["stdin" if str(path) == STDIN else path.stem for path in images]
    return dict(zip(images, _all_different(stems), strict=True))


def _all_different(names: Sequence[str]) -> list[str]:
    """The names in their order, as much of each as a file's name takes; numbers behind those that come again."""
    taken: dict[str, None] = {}
    for name in names:
        short = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
        tries = (short if again == 1 else f"{short}-{again}" for again in itertools.count(1))
        taken[next(candidate for candidate in tries if candidate not in taken)] = None
    return list(taken)


def _write_pictures(folder: Path, name: str, image: NDArray[np.uint8], results: Sequence[PromptResult]) -> int:
    """NAME_overlay.png, and NAME_PHRASE_NUMBER.png for each mask: 255 inside; returns how many that are."""
    from samlite_ros.pixels.overlay import draw_overlay

    make_folder(folder)
    pictures = {"overlay": cv2.cvtColor(draw_overlay(image, _instances(results)), cv2.COLOR_RGB2BGR)}
    words = ["-".join("".join(c if c.isalnum() else " " for c in r.prompt.display).split()) for r in results]
    for word, result in zip(_all_different(words), results, strict=True):
        for place, mask in enumerate(result.masks, 1):
            pictures[f"{word}_{place}"] = mask.full().astype(np.uint8) * 255
    for end, picture in pictures.items():
        _write_png(folder / f"{name}_{end}.png", picture)
    return len(pictures)


def _write_png(path: Path, image: NDArray[Any]) -> None:
    _, data = cv2.imencode(".png", image)
    write_bytes(path, data.tobytes())


def _instances(results: Sequence[PromptResult]) -> list[Instance]:
    """As the overlay wants them: one class per phrase."""
    out = []
    for class_id, result in enumerate(results):
        query = Query(QueryKey("samlite", result.prompt.display), result.prompt, class_id)
        for score, box, mask in zip(result.scores, result.boxes_xyxy, result.masks, strict=True):
            x0, y0, x1, y1 = (float(v) for v in box)
            match = QueryMatch(query, float(score))
            out.append(Instance(0, (match,), float(score), False, 0, (x0, y0, x1, y1), mask))
    return out
