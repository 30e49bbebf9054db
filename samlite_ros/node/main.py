"""The executable `samlite_node`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from samlite_ros.live.blas import load_with_one_thread
from samlite_ros.node.signals import EarlySignals

_HELP = """usage: samlite_node [--ros-args -p model:=demo -r image:=/camera/image --params-file my.yaml ...]
"""


def main(args: list[str] | None = None, segmenter_factory: Callable[..., Any] | None = None) -> int:
    """Run the node until it is interrupted; the process ends with it, with status 0.

    Args:
        args: Command line with ROS arguments; None = the process's.
        segmenter_factory: Builds the segmenter, in the network's process; None = the one for checkpoints.

    Returns:
        0 after help; 1 where a parameter is wrong.
    """
    load_with_one_thread()
    words = sys.argv if args is None else args
    if {"-h", "--help"} & set(words):
        from samlite_ros.parameters.render import render_yaml  # which takes a while, and the node starts without

        sys.stdout.write(f"{_HELP}\n{render_yaml()}")
        return 0
    signals = EarlySignals()
    sys.stderr.write("samlite_node: starts\n")  # ROS, which tells more, takes a while to come
    sys.stderr.flush()
    from samlite_ros.node.run import run  # after it, for this takes a while
    from samlite_ros.segmenter.load import load_segmenter

    return run(words, segmenter_factory or load_segmenter, signals)


if __name__ == "__main__":
    sys.exit(main())
