"""`samlite info`: parameters and memory of a model's parts, beside SAM3's."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from samlite_ros.segmenter.pytorch.parts import PartSize

DESCRIPTION = """Parameters and memory of each part of a model, beside those of SAM3. Only the configuration is read:
the weights need not be there. Memory is that of the weights alone, as float32 (32 bits) and bfloat16 (16 bits) hold
them. The last line says where and in which of them this machine computes if it is left to choose."""


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "model", nargs="?", default="demo", metavar="MODEL", help="demo, a local folder or a hub id (default: demo)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from samlite_ros.segmenter.pytorch.dependencies import check_dependencies

    check_dependencies()
    from samlite_ros.segmenter.pytorch.parts import find_config, part_sizes
    from samlite_ros.segmenter.pytorch.precision import choose_device, choose_precision, in_words

    config, device = find_config(arguments.model), choose_device("auto")
    print("\n".join(_table(arguments.model, part_sizes(config))))
    print(f"here it computes on {in_words(device, choose_precision('auto', device, config))}")
    return 0


def _table(model: str, sizes: Sequence[PartSize]) -> Iterator[str]:
    yield f"{model}, beside SAM3 (facebook/sam3)"
    yield f"{'part':16}  {'parameters':>11}  {'32 bit':>9}  {'16 bit':>9}  {'SAM3':>11}  {'change':>7}"
    for size in sizes:
        yield _row(size.name, size.parameters, size.sam3_parameters)
    yield _row("all", sum(s.parameters for s in sizes), sum(s.sam3_parameters for s in sizes))


def _row(name: str, count: int, sam3: int) -> str:
    change = "same" if count == sam3 else f"{(count - sam3) / sam3:+.1%}"
    memory = f"{count * 4 / 1e6:6.1f} MB  {count * 2 / 1e6:6.1f} MB"
    return f"{name:16}  {count / 1e6:9.3f} M  {memory}  {sam3 / 1e6:9.3f} M  {change:>7}"
