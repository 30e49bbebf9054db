"""Does ROS start here? Tried in a process of its own, which a middleware that is not there ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec

from samlite_ros.doctor.finding import Finding, error
from samlite_ros.foreign.words import one_line, quoted

TIMEOUT_S = 30.0
_PROGRAM = """
import rclpy
rclpy.init(args=[])
rclpy.create_node("samlite_doctor_trial", enable_rosout=False).destroy_node()
rclpy.shutdown()
"""


def failed_start(environment: Mapping[str, str] = os.environ) -> Finding | None:
    """Start ROS with one node; None = it starts, or there is no rclpy."""
    if find_spec("rclpy") is None:
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return error("ros", f"it has not started after {TIMEOUT_S:.0f} s", _advice("", environment))
    except OSError as failure:
        return error("ros", f"it could not be tried: {one_line(failure)}", "memory or processes may be exhausted")
    if done.returncode == 0 or "ModuleNotFoundError" in done.stderr:  # told by the check of its packages
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
    said = next((line for line in lines if "[ERROR]" in line), lines[-1] if lines else "it says nothing")
    return error("ros", f"it does not start ({how}): {one_line(said)}", _advice(done.stderr, environment))


def _advice(said: str, environment: Mapping[str, str]) -> str:
    if "Failed opening file" in said or ("log" in said.lower() and "directory" in said.lower()):
        return "ROS_LOG_DIR (else ROS_HOME, HOME) names a folder that this user may write to"
    if name := environment.get("RMW_IMPLEMENTATION"):
        return f"RMW_IMPLEMENTATION is {quoted(name)}: install the package of that name and its library, or unset it"
    return "source ROS anew in a fresh shell; its middleware or a library of it may be missing"
