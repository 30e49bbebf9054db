"""The node as a process, in a ROS domain that no other test uses meanwhile."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FAKE_NODE = [sys.executable, str(Path(__file__).parents[1] / "fakes/fake_node.py")]
REAL_NODE = [sys.executable, "-m", "samlite_ros.node.main"]
DEADLINE_S = 90.0


@contextmanager
def own_domain() -> Iterator[int]:
    """A ROS domain that no other test on this machine uses meanwhile; `private_graph` takes 20 and above.

    A locked file stands for the domain, since other runs of these tests may be under way.
    """
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        for domain in range(1, 20):
            with (Path(tempfile.gettempdir()) / f"samlite_test_domain_{domain}").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield domain
                return
        time.sleep(0.1)
    raise AssertionError("all domains are in use")


class NodeProcess:
    """The node as a process; its output is kept in a file.

    Args:
        command: Executable and arguments.
        domain: ROS domain.
        parameters: Node parameters.
        remappings: Names to remap.
        environment: More environment variables.
    """

    def __init__(self, command, domain, parameters=None, remappings=None, environment=None) -> None:
        arguments = ["--ros-args"]
        for name, value in (parameters or {}).items():
            arguments += ["-p", f"{name}:={_as_yaml(value)}"]
        for name, value in (remappings or {}).items():
            arguments += ["-r", f"{name}:={value}"]
        self.domain = domain
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the process
        self.process = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, **graph_environment(domain), **(environment or {})},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a launch starts others, which end with it in `close`
        )

    def log(self) -> str:
        """What it wrote so far."""
        self._log.flush()
        with open(f"/proc/self/fd/{self._log.fileno()}") as file:
            return file.read()

    def interrupt(self, timeout_s: float, with_signal: int = signal.SIGINT) -> int:
        """Send a signal and wait for its end; returns the exit status."""
        self.process.send_signal(with_signal)
        return self.process.wait(timeout_s)

    def close(self) -> None:
        """End it and what it started, whatever they do."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()


def graph_environment(domain: int) -> dict[str, str]:
    """Environment of every process of one test's graph."""
    return {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_LOCALHOST_ONLY": "1",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_PYTHON_CHECK_FIELDS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _as_yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(f"'{item}'" for item in value) + "]"
    return str(value)
