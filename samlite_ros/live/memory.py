"""Memory of a process: how much it has; for the node, not searching what stays."""

from __future__ import annotations

import gc
from pathlib import Path


def settle_memory() -> None:
    """From now on garbage is looked for only among what is made after this: what a node keeps, ROS and OpenCV included,
    are 70,000 objects, and to go through them stops every thread for 15 ms, or a frame's half time."""
    gc.collect()
    gc.freeze()


def resident_mib(pid: int | str = "self") -> float:
    """Resident memory of a process [MiB]."""
    return _status_mib(pid, "VmRSS:")


def peak_mib(pid: int | str = "self") -> float:
    """The most resident memory that a process had [MiB]."""
    return _status_mib(pid, "VmHWM:")


def is_stopped(pid: str) -> bool:
    """Whether a process was stopped by a signal or a debugger; False where there is none of this number."""
    try:
        return pid.isdigit() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:
        return False


def _status_mib(pid: int | str, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/{pid}/status has no {name}")
