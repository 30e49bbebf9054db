"""Which environment a make command chooses."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


@pytest.fixture
def prefixes(tmp_path: Path) -> dict[str, Path]:
    """A ROS, an environment of ours from wheels, one beside a sourced ROS, one that was removed."""
    places = {name: tmp_path / f"a folder {name}" for name in ("ros", "wheels", "gone")}
    places["beside"] = tmp_path / ".venv-sourced-humble/ros"
    for name in ("ros", "wheels", "beside"):
        places[name].mkdir(parents=True)
    (places["wheels"] / "pyvenv.cfg").touch()
    return places


@pytest.mark.parametrize(
    ("entered", "distribution", "chosen"),
    [
        ("", "", "jazzy .venv"),
        ("", "kilted", "jazzy .venv"),
        ("wheels", "jazzy", "jazzy .venv"),
        ("wheels", "kilted", "kilted .venv-kilted"),
        ("gone", "jazzy", "jazzy .venv"),
        ("gone", "humble", "jazzy .venv"),
        ("ros", "humble", "sourced .venv-sourced-humble"),
        ("beside:ros", "humble", "sourced .venv-sourced-humble"),
        ("wheels:ros", "jazzy", "sourced .venv-sourced-jazzy"),
    ],
)
def test_only_a_ros_that_is_not_our_own_counts_as_sourced(entered, distribution, chosen, prefixes) -> None:
    path = ":".join(str(prefixes[name]) for name in filter(None, entered.split(":")))
    given = {"PATH": os.environ["PATH"], "AMENT_PREFIX_PATH": path, "ROS_DISTRO": distribution}
    command = ["make", "-C", str(ROOT), "--dry-run", "--no-print-directory", "env"]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
    (told,) = re.findall(r"--ros (\S+) --venv (\S+)", done.stdout)
    assert " ".join(told) == chosen
