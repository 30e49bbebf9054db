"""Are torch and transformers there, and new enough? Answered without importing them."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from importlib.util import find_spec

from samlite_ros.errors import ModelLoadError

MINIMUM_VERSIONS = {"torch": (2, 4), "transformers": (5, 6), "safetensors": (0, 4)}
"""sam3_lite_text came with transformers 5.6; its earlier releases lack the architecture."""


def check_dependencies() -> None:
    """Check that what the network needs is installed.

    Raises:
        ModelLoadError: Something is missing or too old; the message has the line to type.
    """
    wrong = [problem for name, version in MINIMUM_VERSIONS.items() if (problem := _problem(name, version))]
    if not wrong:
        return
    raise ModelLoadError(
        f"{'; '.join(wrong)}. Type: {sys.executable} -m pip install {' '.join(_requirements())}"
        " (on a Jetson take torch from NVIDIA's index for your JetPack instead of PyPI's)"
    )


def _requirements() -> list[str]:
    return [f"'{name}>={'.'.join(map(str, version))}'" for name, version in MINIMUM_VERSIONS.items()]


def _problem(name: str, minimum: tuple[int, int]) -> str | None:
    if find_spec(name) is None:
        return f"{name} is not installed"
    try:
        text = metadata.version(name)
    except metadata.PackageNotFoundError:  # importable without metadata, as vendors' builds may be: let it try
        return None
    found = re.match(r"(\d+)\.(\d+)", text)
    if found and (int(found[1]), int(found[2])) < minimum:
        return f"{name} {text} is too old, {'.'.join(map(str, minimum))} is the oldest that works"
    return None
