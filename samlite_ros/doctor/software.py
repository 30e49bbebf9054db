"""Python, ROS and the libraries: are they there, do they fit together, are they new enough?"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module, metadata
from typing import NamedTuple

from samlite_ros import __version__
from samlite_ros.doctor.finding import Finding, error, ok, warn
from samlite_ros.foreign.words import one_line

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 14)
"""Those that are declared; newer ones were never tried."""
TRIED_ROS = ("humble", "jazzy", "kilted", "lyrical")


class Bounds(NamedTuple):
    """Versions of a package that are accepted.

    Args:
        package: As pip names it.
        lowest: The oldest.
        below: The first that is too new; empty = none.
        need: What lacks without it; empty = everything.
    """

    package: str
    lowest: str
    below: str = ""
    need: str = ""


PACKAGES = (
    Bounds("numpy", "1.24"),
    Bounds("opencv-python", "4.5.4", "5"),
    Bounds("pyyaml", "6.0"),
    Bounds("safetensors", "0.4.3"),
    Bounds("scipy", "1.10"),
    Bounds("tqdm", "4.60"),
    Bounds("torch", "2.4", need="checkpoints (backend torch); exports need onnxruntime instead"),
    Bounds("transformers", "5.6", need="checkpoints (backend torch)"),
    Bounds("onnxruntime", "1.18", need="exports (backend onnx)"),
    Bounds("tokenizers", "0.22", need="exports (backend onnx)"),
    Bounds("rosbags", "0.11", need="bags: samlite replay, evaluate, compare, play"),
    Bounds("mcap", "1.2.1", need="bags of mcap files"),
    Bounds("zstandard", "0.19", need="bags that are packed with zstd"),
    Bounds("lz4", "4", need="bags that are packed with lz4"),
    Bounds("pycocotools", "2.0.10", need="samlite evaluate with run lengths"),
    Bounds("matplotlib", "3.6", need="plots of reports"),
)
"""As setup.py declares them (a test compares), which is not there where colcon installed."""
_OTHER_NAMES = {
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime-openvino"),
}
_MODULES = {"opencv-python": "cv2", "pyyaml": "yaml"}


def check_python(version: tuple[int, ...] = sys.version_info[:3], prefix: str = sys.prefix) -> Finding:
    """The interpreter's version."""
    words = f"Python {'.'.join(map(str, version))} in {prefix}, samlite_ros {__version__}"
    if version[:2] < OLDEST_PYTHON:
        return error("python", words, "use Python 3.10 or newer")
    if version[:2] > NEWEST_PYTHON:
        return warn("python", words, "newer than any that was tried: where something fails, use 3.14 or older")
    return ok("python", words)


def check_ros(environment: Mapping[str, str] = os.environ, load: Callable[[str], object] = import_module) -> Finding:
    """rclpy and the messages can be imported."""
    distribution = environment.get("ROS_DISTRO", "")
    words = f"ROS 2 {distribution}" if distribution else "ROS 2 of unknown distribution (ROS_DISTRO is not set)"
    try:
        load("rclpy")
    except ImportError as failure:
        if not distribution:
            return warn(
                "ros", "there is none: rclpy cannot be imported", "source ROS 2, or `make env` and .venv/env.sh"
            )
        advice = f"ROS was built for another Python than {sys.version_info[0]}.{sys.version_info[1]}, or is not whole"
        return error("ros", f"{words}, but rclpy cannot be imported: {one_line(failure)}", advice)
    for package in ("samlite_ros.msg", "vision_msgs.msg"):
        try:
            load(package)
        except ImportError as failure:
            advice = "build with colcon and source install/setup.bash; pip installs no messages, and removes colcon's"
            return error("ros", f"{words}, but {package} cannot be imported: {one_line(failure)}", advice)
    if distribution not in TRIED_ROS:
        return warn("ros", words, f"it is meant for {', '.join(TRIED_ROS)}")
    return ok("ros", words)


def check_packages(
    version_of: Callable[[str], str] | None = None, packages: Iterable[Bounds] = PACKAGES
) -> list[Finding]:
    """Each package against its bounds; what is needed for something only is no fault where it is missing."""
    find = version_of or installed_version
    found: list[str] = []
    findings = []
    for bounds in packages:
        version = find(bounds.package)
        problem = _misfit(version, bounds)
        if not problem:
            found.append(f"{bounds.package} {version}")
        elif version:
            findings.append(error("packages", f"{bounds.package} {version} {problem}", _line_to_type(bounds)))
        elif bounds.need:
            findings.append(ok("packages", f"{bounds.package} is not installed: no {bounds.need}"))
        else:
            findings.append(error("packages", f"{bounds.package} is not installed", _line_to_type(bounds)))
    if find("torch") == "" == find("onnxruntime"):
        advice = f"{sys.executable} -m pip install torch transformers, or for exports onnxruntime tokenizers"
        findings.append(error("packages", "neither torch nor onnxruntime: nothing can compute a network", advice))
    return [ok("packages", ", ".join(found) or "none of ours"), *findings]


def installed_version(package: str) -> str:
    """Of a package or of one that stands for it; empty = not installed, '?' = there without a version."""
    for name in (package, *_OTHER_NAMES.get(package, ())):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    try:
        module = import_module(_MODULES.get(package, package))  # vendors' builds have no metadata
    except ImportError:
        return ""
    return str(getattr(module, "__version__", "?"))


def _misfit(version: str, bounds: Bounds) -> str:
    """Why a version does not do; empty = it does, or it cannot be told."""
    if not version:
        return "is not installed"
    numbers = _numbers(version)
    if numbers and numbers < _numbers(bounds.lowest):
        return f"is too old: {bounds.lowest} or newer"
    if numbers and bounds.below and numbers >= _numbers(bounds.below):
        return f"is too new: older than {bounds.below}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _line_to_type(bounds: Bounds) -> str:
    wanted = f"{bounds.package}>={bounds.lowest}" + (f",<{bounds.below}" if bounds.below else "")
    return f"{sys.executable} -m pip install '{wanted}'"
