"""`samlite download`: fetch a checkpoint from the hub ahead of time, for a robot that will be offline."""

from __future__ import annotations

import argparse


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = __doc__
    parser.add_argument("model", metavar="MODEL", help="hub id, for example vil-uob/sam3-litetext-s0")


def run(arguments: argparse.Namespace) -> int:
    """Download, check what arrived, and print where it is."""
    from samlite_ros.segmenter.pytorch.dependencies import check_dependencies

    check_dependencies()
    from samlite_ros.segmenter.files import check_folder
    from samlite_ros.segmenter.sources import DEMO_FOLDER, download_checkpoint

    folder = DEMO_FOLDER if arguments.model == "demo" else download_checkpoint(arguments.model)
    weights = check_folder(folder)
    size_mb = sum(path.stat().st_size for path in weights) / 1e6
    print(f"{arguments.model}: {size_mb:.1f} MB of weights in {folder}")
    return 0
