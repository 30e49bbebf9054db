"""The demo's processes: a rendered camera and the node, each as a user would start it, on a graph of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from samlite_ros.errors import SamliteError

STOP_TIMEOUT_S = 10.0


def private_graph() -> dict[str, str]:
    """Environment that keeps the demo to this machine and apart from other graphs on it."""
    domain = os.environ.get("ROS_DOMAIN_ID") or str(20 + os.getpid() % 80)
    scope = (
        {"ROS_LOCALHOST_ONLY": "1"}
        if os.environ.get("ROS_DISTRO") == "humble"
        else {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    )
    return {"ROS_DOMAIN_ID": domain, **scope}


@contextmanager
def running(module: str, arguments: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module's program meanwhile, then interrupt it as Ctrl-C does.

    Args:
        module: Module with a `main`.
        arguments: ROS arguments, without `--ros-args`.
        log: Takes its output.

    Raises:
        SamliteError: It did not end by itself, or not with 0, after the interrupt.
    """
    command = [sys.executable, "-m", module, "--ros-args", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            code = _interrupt(process)
    if code != 0:
        raise SamliteError(f"{module} ended with {code} instead of 0; its output is in {log}")


def _interrupt(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
