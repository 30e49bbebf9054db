"""What only developers measure: `python3 test/bench_tools/bench_tools.py [PART] [options of samlite bench]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from samlite_ros.commands.bench import add_parts, run_modules
from samlite_ros.errors import SamliteError

PARTS = {
    "shared_decoder": "what the shared decoder saves per phrase, against the reference's",
    "messages": "images to RGB, masks to messages, against cv_bridge's way and byte-wise fields",
    "half_precision": "masks in half precision against float32",
}
"""Modules of this folder with `run(options, on_step) -> list[Figure]`."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write bench.json and the pictures."""
    parser = argparse.ArgumentParser("bench_tools", description=__doc__)
    add_parts(parser, PARTS)
    try:
        return run_modules(parser.parse_args(words), tuple(PARTS), "")
    except SamliteError as error:
        sys.stderr.write(f"bench_tools: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
