"""An environment: where it is, what it is made of, and which steps of its making are done."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHEELS = ROOT / "pip_ros/wheels"


class BootstrapError(Exception):
    """The environment cannot be made; the message says in one line what is missing and what to type."""


@dataclass(frozen=True)
class Environment:
    """Where the environment is and what it is made of.

    Args:
        venv: Its folder.
        ros: jazzy, kilted, sourced or none.
        packages: Requirements besides our own; with any, the versions of constraints.txt do not hold.
        oldest: Of the library's requirements the oldest versions that setup.py allows.
        without_torch: What a small robot installs: exported networks alone.
    """

    venv: Path
    ros: str
    packages: tuple[str, ...] = ()
    oldest: bool = False
    without_torch: bool = False

    @property
    def from_wheels(self) -> bool:
        return self.ros not in ("sourced", "none")

    @property
    def python(self) -> Path:
        return self.venv / "bin/python3"

    @property
    def prefix(self) -> Path:
        """Where colcon installs: with wheels the environment itself, since their start-up hook looks there."""
        return self.venv if self.from_wheels else self.venv / "ros"

    def variables(self) -> dict[str, str]:
        """Environment variables that differ from the shell's; an empty value means unset."""
        search = {"PATH": f"{self.venv}/bin{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(self.venv)}
        if self.ros == "sourced":
            return search
        # What another ROS, sourced in this shell, would mix in.
        search |= dict.fromkeys(("PYTHONPATH", "LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"), "")
        if self.ros == "none":
            return search
        prefix = {"AMENT_PREFIX_PATH": str(self.venv), "CMAKE_PREFIX_PATH": str(self.venv)}
        return search | prefix | {"ROS_DISTRO": self.ros, "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}

    @property
    def lock(self) -> Path:
        """Is beside the environment from the first make on."""
        return self.venv.with_name(f"{self.venv.name}.lock")

    def is_done(self, step: str, inputs: Sequence[str]) -> bool:
        """Whether the step was done with the same inputs."""
        stamp = self.stamp(step)
        return stamp.exists() and stamp.read_text() == _digest(inputs)

    def set_done(self, step: str, inputs: Sequence[str]) -> None:
        """From now on it was."""
        stamp = self.stamp(step)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(_digest(inputs))

    def stamp(self, step: str) -> Path:
        """Where it is noted that a step is done."""
        return self.venv / "stamps" / step.replace(" ", "_")


def distributions() -> list[str]:
    """Those of which there are wheels."""
    return sorted(file.stem for file in WHEELS.glob("*.txt") if file.stem != "build")


def sourced_prefixes() -> list[Path]:
    """Where the ROS that was sourced is; our own environments, which set the same variables, are none."""
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    return [prefix for prefix in prefixes if prefix.is_dir() and not (prefix / "pyvenv.cfg").exists()]


def _digest(inputs: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()
