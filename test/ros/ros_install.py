"""Where the ROS that the tests run on has its files: the wheels' environment, or what was sourced."""

import os
import sys
from pathlib import Path


def ros_prefixes() -> list[Path]:
    """The folders that hold share/, include/ and lib/, first match first."""
    sourced = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [Path(prefix) for prefix in dict.fromkeys([*filter(None, sourced), sys.prefix])]


def find_in_ros(path: str) -> Path | None:
    """The first prefix's file or folder of this relative path."""
    found = (prefix / path for prefix in ros_prefixes() if (prefix / path).exists())
    return next(found, None)
