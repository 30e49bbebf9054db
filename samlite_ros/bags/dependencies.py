"""What reading and writing bags needs beside what a robot has: nothing that rosdep installs."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from samlite_ros.errors import BagError

LIBRARIES = ("rosbags", "mcap", "zstandard", "lz4")


def check_libraries() -> None:
    """Check that the libraries of bags are installed.

    Raises:
        BagError: Some are missing; the message has the line to type.
    """
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise BagError(f"{', '.join(missing)} not installed. Type: {sys.executable} -m pip install {' '.join(missing)}")
