"""Print constraints.txt: the versions in the environment that runs this, except those of ROS itself.

.venv/bin/python3 pip_ros/freeze.py > constraints.txt
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distributions

HEADER = "# The versions that the tests run with, for Python 3.11 and later. Written by pip_ros/freeze.py."
NOT_PINNED = (
    "ros-",
    "pip",
    "nvidia-",
    "cuda-",
    "triton",
)  # ROS has its own lists; the others come with the venv or torch


def pins() -> Iterator[str]:
    """Lines of constraints.txt, unsorted."""
    for distribution in distributions():
        name = distribution.metadata["Name"].lower().replace("_", "-")
        from_pip = distribution.read_text("WHEEL") is not None  # what colcon installed has no such file
        if from_pip and not name.startswith(NOT_PINNED):
            yield f"{name}=={distribution.version.split('+')[0]}"  # torch's "+cpu" is the builder's, not a version


if __name__ == "__main__":
    print(HEADER, *sorted(set(pins())), sep="\n")
