"""`samlite bench streaming`: answers at camera rate from a slow network, against the usual way, on a virtual clock.

Without further options it measures accuracy, pieces of photographs, still scenes, late queries and cost: about twenty
minutes on two idle cores. --quick takes a minute or two, --all about half an hour. With --video it judges your own
footage instead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from samlite_ros.bench.streaming.options import MAIN, SETS, FootageOptions, StreamingBenchOptions
from samlite_ros.commands.backend_arguments import BACKENDS
from samlite_ros.commands.number_arguments import number
from samlite_ros.errors import SamliteError
from samlite_ros.virtual.latency import PROFILES_MS

HELP = "accuracy at every camera frame with a slow network, on a virtual clock"
QUICK_FRAMES = 60
LEAST_FRAMES = 30
RATE_HZ = 30.0
SECTIONS = ("accuracy", "semireal", "still", "late", "cost", "network", "space", "tokens", "parts")
"""As in `bench.streaming.sections`, which takes seconds to import."""
MEASURED = "measured"
T = TypeVar("T")


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--seed", type=number(int, 0), default=0, help="of the rendered sequences (0)")
    add(
        "--profiles",
        type=_profiles,
        default=(126.0, 250.0, 950.0),
        metavar="MS",
        help="passes [ms], or thor ... (126,250,950)",
    )
    add("--json", type=_file, default=Path("bench_out/streaming.json"), metavar="FILE", help="figures; pictures beside")
    add("--compare", type=Path, metavar="OLD.json", help="show old and new figures side by side")
    add("--frames", type=number(int, LEAST_FRAMES), default=150, help="per sequence (150)")
    add("--sets", type=_sets, default=SETS, metavar="NAMES", help=f"sequences ({','.join(SETS)})")
    charge = "work per frame charged to the virtual clock: as measured (the default), or so long, which repeats exactly"
    add("--charge", dest="charge_s", type=_charge, metavar="measured|MS", help=charge)
    add(
        "--no-refine", dest="refine", action="store_false", help="carry by templates alone, as with refine_masks: false"
    )
    add("--backend", dest="backends", type=_backends, metavar="NAMES", help="section network by these, as torch,onnx")
    add("--model", default="demo", help="of the section network (demo)")
    what = parser.add_argument_group("what is measured, with the time it takes on two idle cores")
    add = what.add_argument
    add("--quick", action="store_true", help="few frames, the main table only; 2 minutes")
    add("--only", type=_sections, metavar="NAMES", help=f"nothing but these: some of {','.join(SECTIONS)}")
    add("--all", action="store_true", help="all of them; 30 minutes")
    add("--parts", action="store_true", help="also each part's worth, by leaving it out; 12 minutes")
    footage = "your own footage with a label image for every frame, instead of all that; some seconds a sequence"
    add = parser.add_argument_group(footage).add_argument
    add("--video", type=Path, metavar="FOLDER|BAG", help="sequences as DAVIS lays them out, JPEGs with PNGs, or a bag")
    add("--rate", dest="rate_hz", type=number(float, 0.001, 1000), metavar="HZ", help="of a folder's frames (24)")
    add("--truth", type=Path, metavar="FILE", help="of a bag: COCO instances or a bag (truth.json in the bag)")
    add("--image-topic", default="", metavar="TOPIC", help="of a bag; default: the only one")
    add("--border", dest="border_px", type=number(float, 0, 100), metavar="PX", help="bend the keyframes' borders (0)")
    add("--miss", type=number(float, 0, 1), metavar="SHARE", help="let the network overlook things (0)")


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables, write the JSON file and the pictures beside it."""
    from samlite_ros.commands.bench import measure

    _check_combination(arguments)
    if arguments.video is not None:
        return _run_footage(arguments)
    names = chosen_sections(arguments)
    options = bench_options(arguments, names)
    _make_folder(arguments.json)
    from samlite_ros.bench.streaming import sections

    parts = {name: partial(sections.SECTIONS[name].run, options, _progress) for name in names}
    return measure(parts, asdict(options), arguments.json, arguments.compare)


def _check_combination(arguments: argparse.Namespace) -> None:
    """Raise `SamliteError` where what is given belongs to the footage and there is none, or the other way round."""
    a = arguments
    if a.video is None:
        of_footage = {"rate": a.rate_hz, "truth": a.truth, "image-topic": a.image_topic}
        wrong, expected = {**of_footage, "border": a.border_px, "miss": a.miss}, "expected --video FOLDER beside it"
    else:
        wrong, expected = (
            {"only": a.only, "all": a.all, "parts": a.parts, "backend": a.backends},
            "--video judges the footage and nothing else",
        )
    named = [f"--{name}" for name, value in wrong.items() if value]
    if named:
        raise SamliteError(f"{', '.join(named)}: {expected}")


def _run_footage(arguments: argparse.Namespace) -> int:
    """Judge the footage; its faults are told before anything is measured."""
    from samlite_ros.bench.streaming import footage
    from samlite_ros.commands.bench import measure

    options = footage_options(arguments)
    footage.find_sequences(options)
    _make_folder(arguments.json)
    parts = {footage.TABLE: partial(footage.run, options, _progress)}
    return measure(parts, asdict(options), arguments.json, arguments.compare)


def footage_options(arguments: argparse.Namespace) -> FootageOptions:
    """What was given."""
    return FootageOptions(
        video=str(arguments.video),
        truth=str(arguments.truth or ""),
        image_topic=arguments.image_topic,
        rate_hz=arguments.rate_hz,
        frames=min(arguments.frames, QUICK_FRAMES) if arguments.quick else arguments.frames,
        profiles_ms=arguments.profiles,
        border_px=arguments.border_px or 0.0,
        miss=arguments.miss or 0.0,
        charge_s=arguments.charge_s,
        refine=arguments.refine,
        pictures=str(arguments.json.parent),
    )


def _progress(items: Sequence[T], text: str) -> Iterable[T]:
    bar: Iterable[T] = tqdm(items, text, file=sys.stderr, disable=None)
    return bar


def chosen_sections(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Names of what is measured, in the order of SECTIONS."""
    from samlite_ros.bench.streaming import sections

    chosen = {name for name, section in sections.SECTIONS.items() if section.by_default}
    if arguments.quick:
        chosen = {"accuracy"}
    if arguments.only is not None:
        chosen = set(arguments.only)
    if arguments.parts:
        chosen.add("parts")
    if arguments.backends:
        chosen.add("network")
    return tuple(name for name in SECTIONS if arguments.all or name in chosen)


def _make_folder(file: Path) -> None:
    """Now, and not after a quarter of an hour.

    Raises:
        SamliteError: It cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SamliteError(f"no folder for {file}: {error}") from error


def bench_options(arguments: argparse.Namespace, sections: tuple[str, ...]) -> StreamingBenchOptions:
    """Defaults, then --quick, then what was given.

    Raises:
        SamliteError: The sequences end before a pass does.
    """
    frames = min(arguments.frames, QUICK_FRAMES) if arguments.quick else arguments.frames
    if {"accuracy", "network", "parts", "semireal", "tokens"} & set(sections):
        _check_length(frames, max(arguments.profiles))
    options = StreamingBenchOptions(
        arguments.seed, arguments.profiles, arguments.sets, frames, charge_s=arguments.charge_s, refine=arguments.refine
    )
    options = replace(options, backends=arguments.backends or options.backends, model=arguments.model)
    return replace(options, variants=(MAIN,)) if arguments.quick else options


def _check_length(frames: int, pass_ms: float) -> None:
    seconds = frames / RATE_HZ
    if pass_ms >= 1e3 * seconds:
        raise SamliteError(
            f"sequences of {frames} frames, {seconds:.1f} s, end before a pass of {pass_ms:g} ms does: more --frames"
        )


def _charge(text: str) -> float | None:
    """Seconds; None = as measured."""
    return None if text == MEASURED else number(float, 0, 1000)(text) / 1e3


def _profiles(text: str) -> tuple[float, ...]:
    one = number(float, 1, 60_000)
    return tuple(dict.fromkeys(PROFILES_MS.get(part) or one(part) for part in text.split(",")))


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text!r} is a folder: expected a file such as {text.rstrip('/')}/streaming.json"
        )
    return path


def _sets(text: str) -> tuple[str, ...]:
    return _names(text, SETS)


def _backends(text: str) -> tuple[str, ...]:
    return _names(text, BACKENDS)


def _sections(text: str) -> tuple[str, ...]:
    return _names(text, SECTIONS)


def _names(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(map(repr, unknown))}: expected some of {','.join(known)}")
    return names
