"""The planner in C++ compiles: against rclcpp where it is installed, else against stand-ins for what it uses of it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from ros_install import ros_prefixes

TEST = Path(__file__).resolve().parents[1]
EXAMPLE = TEST.parent / "examples/ask.cpp"
STAND_IN = TEST / "fakes/rclcpp_standin"


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
def test_the_planner_in_cpp_compiles():
    """The messages' headers are those of this build; without rclcpp's own nothing is linked, and nothing runs."""
    packages = [folder for prefix in ros_prefixes() for folder in sorted(prefix.glob("include/*")) if folder.is_dir()]
    rclcpp = [] if any(folder.name == "rclcpp" for folder in packages) else [STAND_IN]
    includes = [word for folder in (*rclcpp, *packages) for word in ("-isystem", str(folder))]
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *includes, str(EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
