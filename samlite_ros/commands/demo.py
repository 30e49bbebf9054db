"""`samlite demo`: see the package work on a rendered camera."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from samlite_ros.commands.backend_arguments import BACKENDS
from samlite_ros.errors import SamliteError
from samlite_ros.scenes import KINDS

ONLY_WITH_ROS = "it runs a ROS 2 graph, and there is no {}: source a ROS 2 installation, or type `make demo`"


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = __doc__
    parser.add_argument("--out", type=Path, default=Path("demo_out"), help="folder for report, pictures and logs")
    parser.add_argument("--model", default="demo", help="checkpoint, as the node's parameter")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="as the node's parameter")
    parser.add_argument("--motion", default="fly", help="still, pan, fly, cross or appear")
    parser.add_argument("--seed", type=int, default=1, help="which scene")
    parser.add_argument("--rate", type=float, default=30.0, help="camera frames a second [Hz]")
    parser.add_argument("--seconds", type=float, default=12.0, help="how long to measure [s]")
    parser.add_argument("--no-video", action="store_true", help="write no video")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 1 where nothing was found, or what is absent was."""
    try:
        from samlite_ros.demo.report import report
        from samlite_ros.demo.run import DemoOptions, run_demo
        from samlite_ros.demo.scene_camera import DEFAULTS
    except ModuleNotFoundError as error:
        raise SamliteError(ONLY_WITH_ROS.format(error.name)) from error
    if arguments.motion not in KINDS:
        raise SamliteError(f"--motion must be one of {', '.join(KINDS)}, got {arguments.motion!r}")
    scene = replace(DEFAULTS, motion=arguments.motion, seed=arguments.seed, rate=arguments.rate)
    result = run_demo(DemoOptions(scene, arguments.model, arguments.seconds, arguments.out, arguments.backend))
    print(report(result, arguments.out, video=not arguments.no_video))
    return 0 if result.scores.recall > 0 and not result.absent.found else 1
