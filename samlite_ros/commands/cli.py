"""`samlite`: one command, many subcommands, each in its own module and imported only when it is asked for."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import NamedTuple

from samlite_ros import __version__
from samlite_ros.errors import SamliteError
from samlite_ros.foreign.words import printable, reason
from samlite_ros.live.blas import load_with_one_thread
from samlite_ros.pixels.host_memory import keep_freed_memory

INTERRUPTED = 130


class Command(NamedTuple):
    """A subcommand: its module has `add_parser(parser)`, which declares arguments, and `run(arguments) -> int`."""

    module: str
    help: str


COMMANDS: dict[str, Command] = {
    "segment": Command("samlite_ros.commands.segment", "find phrases in image files"),
    "info": Command("samlite_ros.commands.info", "parameters and memory of a model's parts, beside SAM3's"),
    "download": Command("samlite_ros.commands.download", "fetch a checkpoint from the hub ahead of time"),
    "export": Command("samlite_ros.commands.export", "a model as graphs for ONNX Runtime and TensorRT"),
    "doctor": Command("samlite_ros.commands.doctor", "what keeps the node from working here, and what to do about it"),
    "policy": Command("samlite_ros.commands.policy", "an SROS 2 policy: who may do what on the graph"),
    "demo": Command("samlite_ros.commands.demo", "see the package work on a rendered camera"),
    "evaluate": Command(
        "samlite_ros.commands.evaluate", "answers in a bag against truth, or a model on rendered scenes"
    ),
    "replay": Command("samlite_ros.commands.replay", "a bag through the node's code, into a new bag"),
    "compare": Command("samlite_ros.commands.compare", "two results side by side: where they differ"),
    "play": Command("samlite_ros.commands.play", "publish a bag on a ROS graph, without `ros2 bag`"),
    "make-bag": Command("samlite_ros.commands.make_bag", "a small bag with ground truth, from rendered scenes"),
    "train-demo": Command("samlite_ros.commands.train_demo", "train the demo checkpoint from scratch"),
    "train-refiner": Command("samlite_ros.commands.train_refiner", "train the refiner of carried masks"),
    "bench": Command("samlite_ros.commands.bench", "what reuse buys and what it costs, on this machine"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; errors that the package raises on purpose, and those of files, become one line.

    Args:
        argv: Arguments without the program's name; None = those of the process.

    Returns:
        Exit status: 0 = done, 1 = failed, 2 = wrong usage, 130 = interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in words if not word.startswith("-")), "")
    _prepare_streams()
    keep_freed_memory()
    try:
        parser, chosen, command = _build_parser(name)
        arguments = _parse(parser, chosen, words)
        status: int = command.run(arguments) if command else 0
        sys.stdout.flush()
        return status
    except SamliteError as error:
        print(f"samlite {name}: {printable(str(error))}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a file or folder of the arguments, or what was printed
        file = f"{error.filename}: " if error.filename is not None else _unprinted(error)
        print(f"samlite {name}: {printable(file + reason(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _prepare_streams() -> None:
    """What is printed ends nothing: neither where a stream is closed, nor where its encoding lacks a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _unprinted(error: OSError) -> str:
    """Standard output, where it takes nothing; its errors do not name it, and it has forgotten what it was to write."""
    if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EDQUOT):
        try:
            print(flush=True)
        except OSError:
            return "standard output cannot be written: "
    return ""


def _parse(
    parser: argparse.ArgumentParser, chosen: argparse.ArgumentParser, words: Sequence[str]
) -> argparse.Namespace:
    """A list of items may go on behind an option, which argparse does not know of."""
    arguments, late = parser.parse_known_args(words)
    if late and hasattr(arguments, "items") and not any(word.startswith("-") and word != "-" for word in late):
        arguments.items += late
    elif late:
        chosen.error(f"unrecognized arguments: {' '.join(late)}{_nearest(chosen, late)}")
    return arguments


def _nearest(parser: argparse.ArgumentParser, words: Sequence[str]) -> str:
    """The option that may have been meant, in words; empty = none is alike."""
    options = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    slips = [word.partition("=")[0] for word in words if word.startswith("--")]
    alike = [found for word in slips for found in get_close_matches(word, options, 1, 0.6) if found != word]
    return f"; did you mean {', '.join(alike)}?" if alike else ""


def _build_parser(chosen: str) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, ModuleType | None]:
    """The parser, with the chosen subcommand's arguments only, and that subcommand's own parser and module."""
    parser = argparse.ArgumentParser("samlite", description="Find things by name in images and camera streams.")
    parser.add_argument("--version", action="version", version=f"samlite_ros {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    of_chosen, module = parser, None
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.help)
        if name == chosen:
            load_with_one_thread()  # before the command loads numpy
            module = importlib.import_module(command.module)
            module.add_parser(subparser)
            of_chosen = subparser
    return parser, of_chosen, module


if __name__ == "__main__":
    sys.exit(main())
