"""All checks in their order, and what they found as text."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from samlite_ros import __version__
from samlite_ros.doctor import machine, middleware, software
from samlite_ros.doctor.finding import Finding, Level, guarded, ok, worst
from samlite_ros.doctor.trial import failed_start

ENVIRONMENT = (
    "ROS_DISTRO",
    "RMW_IMPLEMENTATION",
    "ROS_DOMAIN_ID",
    "ROS_LOCALHOST_ONLY",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_STATIC_PEERS",
    "ROS_DISCOVERY_SERVER",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTDDS_BUILTIN_TRANSPORTS",
    "CYCLONEDDS_URI",
    "ROS_SECURITY_ENABLE",
    "ROS_SECURITY_STRATEGY",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
)
"""Told in a report, and nothing else of the environment."""
_MARKS = {Level.OK: "OK   ", Level.WARN: "WARN ", Level.ERROR: "ERROR"}


@dataclass(frozen=True)
class Rounds:
    """What is looked at.

    Args:
        parameters: The node's parameter file; None = its defaults.
        model: Instead of the one that the parameters name; empty = that one.
        load: Load it, however large it is.
        listen_s: Watch the graph for so long [s]; 0 = not at all.
    """

    parameters: Path | None = None
    model: str = ""
    load: bool = False
    listen_s: float = 3.0


def examine(rounds: Rounds, on_finding: Callable[[Finding], object] = lambda _: None) -> list[Finding]:
    """Make every check; none keeps another from being made.

    Args:
        rounds: What is looked at.
        on_finding: Told of each as it is made.
    """
    findings = []
    for subject, check in _checks(rounds):
        for finding in guarded(subject, check):
            findings.append(finding)
            on_finding(finding)
    return findings


def _checks(rounds: Rounds) -> Iterator[tuple[str, Callable[[], Finding | Iterable[Finding]]]]:
    yield "python", software.check_python
    yield "packages", software.check_packages
    failure = failed_start()
    yield "ros", software.check_ros if failure is None else lambda: failure
    yield "memory", machine.check_memory
    yield "disk", lambda: machine.check_disk(_folders())
    yield "shared memory", machine.check_shared_memory
    yield "socket buffers", machine.check_socket_buffers
    yield "clock", machine.check_clock
    yield "model", lambda: _check_model(rounds)
    yield "middleware", middleware.check_environment
    if failure is not None:  # to import rclpy would end this process
        yield "graph", lambda: ok("graph", "not looked at: ROS does not start")
    elif rounds.listen_s > 0:
        yield "middleware", _check_passage
        yield "graph", lambda: _check_graph(rounds.listen_s)


def _folders() -> list[tuple[str, Path]]:
    hub = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    logs = Path(os.environ.get("ROS_LOG_DIR") or Path(os.environ.get("ROS_HOME") or Path.home() / ".ros") / "log")
    return [("checkpoints of the hub", hub), ("logs", logs)]


def _check_model(rounds: Rounds) -> Iterator[Finding]:
    from samlite_ros.doctor.model import check_all  # needs libraries that may be missing

    return check_all(rounds.parameters, rounds.model, whatever_size=rounds.load)


def _check_passage() -> Finding:
    if find_spec("rclpy") is None:
        return ok("middleware", "not tried: there is no rclpy")
    from samlite_ros.doctor.passage import send_images

    return middleware.check_passage(send_images)


def _check_graph(listen_s: float) -> list[Finding]:
    if find_spec("rclpy") is None:
        return [ok("graph", "not looked at: there is no rclpy")]
    from samlite_ros.doctor.graph import check_graph, observing

    with observing(listen_s) as observer:
        return check_graph(observer)


def line(finding: Finding) -> str:
    """A finding for a terminal; what to do about it is on a line of its own."""
    text = f"{_MARKS[finding.level]} {finding.subject}: {finding.found}"
    return f"{text}\n      -> {finding.advice}" if finding.advice else text


def report(findings: Sequence[Finding], environment: Mapping[str, str] = os.environ) -> str:
    """All of it as Markdown for an issue: no path of the user's, no host, no variable but those of ROS."""
    variables = [f"{name}={environment[name]}" for name in ENVIRONMENT if name in environment]
    lines = [
        f"samlite_ros {__version__}, {platform.system()} {platform.release()} {platform.machine()}, "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}: {worst(findings).name}",
        "",
        "```",
        *map(line, findings),
        *variables,
        "```",
        "",
    ]
    return without_names("\n".join(lines))


def without_names(text: str, home: Path | None = None, host: str | None = None) -> str:
    """The text without the user's folder, the user's name in a path, and the computer's name."""
    folder, name = str(home or Path.home()), host or socket.gethostname()
    if len(folder) > 1:
        text = text.replace(folder, "~")
        user = Path(folder).name
        text = text.replace(f"/{user}/", "/USER/") if folder.startswith(("/home/", "/Users/")) else text
    return text.replace(name, "HOST") if len(name) > 2 else text
