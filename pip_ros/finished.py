"""A finished environment is used on, or left alone: it took gigabytes, and only its owner clears it."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

from pip_ros.environment import BootstrapError, Environment


def origin(env: Environment) -> list[str]:
    """What decides whether an environment that is there can be used."""
    return [sys.version, str(env.venv), env.ros, os.environ.get("ROS_DISTRO", "") if env.ros == "sourced" else ""]


def check_finished(env: Environment) -> None:
    """Raise a BootstrapError where what is there must not be cleared, and does not fit what is asked for."""
    if env.is_done("environment", origin(env)):
        return
    if not any(env.stamp(step).exists() for step in ("Python packages", "samlite_ros")):
        if env.venv.is_dir() and any(env.venv.iterdir()) and not env.lock.exists():
            raise BootstrapError(
                f"{env.venv} is there and not ours to clear: remove it, or add VENV=.venv-samlite to the make command"
            )
        return
    if why := _misfit(env):
        name = env.venv.name
        raise BootstrapError(f"{why}; or remove it to have it made anew (`rm -rf {name}`, or all with `make clean`)")
    env.set_done("environment", origin(env))  # the same Python, updated where it is


def _misfit(env: Environment) -> str:
    """What differs, and how to go on; empty = nothing that matters."""
    name, script = env.venv.name, env.venv / "env.sh"
    entering = script.read_text() if script.exists() else ""
    made_in = re.search(r"VIRTUAL_ENV=(.+)", entering)
    if made_in and made_in[1] != shlex.quote(str(env.venv)):
        return f"{name} was made as {made_in[1]} and works only there"
    made_for = re.search(r"ROS_DISTRO=(\w+)|ROS (sourced \w+)", entering)
    ros = (made_for[1] or made_for[2]) if made_for else "none"
    if ros != (asked := " ".join(filter(None, origin(env)[2:]))):
        return f"{name} was made for ROS {ros}, and asked for is {asked}: name another with --venv"
    return _other_python(env)


def _other_python(env: Environment) -> str:
    name, there = env.venv.name, env.python.resolve()
    ask = "import platform, sys; print(platform.python_version(), sys.base_prefix, sep='\\n')"
    try:
        answer = subprocess.run([env.python, "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return f"the Python that {name} was made with does not run any more ({there}): put it back"
    version, prefix = answer.stdout.splitlines()
    here = platform.python_version()
    if _minor(version) == _minor(here) and Path(prefix).resolve() == Path(sys.base_prefix).resolve():
        return ""
    return (
        f"this python3 is {here} at {sys.executable}, {name} was made with {version} at {there}: "
        f"go on with it by adding PYTHON={there} to the make command"
    )


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
