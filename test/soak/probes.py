"""What a process holds at one moment, and how that grows."""

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from samlite_ros.network.link import NAME


class Held(NamedTuple):
    """What a process holds.

    Args:
        rss_mib: Resident memory [MiB].
        anonymous_mib: Of it, what belongs to no file: what a leak would grow [MiB].
        threads, descriptors: Numbers.
        images: Blocks of memory that are shared with the network's process.
    """

    rss_mib: float
    anonymous_mib: float
    threads: int
    descriptors: int
    images: int


def held_by(pid: int) -> Held:
    """What this process holds now.

    Raises:
        OSError: It has ended.
    """
    proc = Path(f"/proc/{pid}")
    sizes = {line.split()[0]: int(line.split()[1]) for line in (proc / "smaps_rollup").read_text().splitlines()[1:]}
    return Held(
        sizes["Rss:"] / 1024,
        sizes["Anonymous:"] / 1024,
        len(os.listdir(proc / "task")),
        len(os.listdir(proc / "fd")),
        (proc / "maps").read_text().count(NAME),
    )


def slope_per_10_minutes(times_s: Sequence[float], values: Sequence[float]) -> float:
    """Of the straight line through the values; 0 where there are fewer than 3."""
    if len(values) < 3:
        return 0.0
    return float(np.polyfit(np.asarray(times_s) / 600.0, np.asarray(values), 1)[0])


def runs(pid: int) -> bool:
    """Whether a process is there; one that ended and was not waited for is not."""
    try:
        return (Path(f"/proc/{pid}/stat")).read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")), 0)
    return bool(caught >> (number - 1) & 1)


def name_of(pid: int) -> str:
    """As the process calls itself; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def segments_of(pid: int) -> set[Path]:
    """Fast DDS's files of shared memory that belong to a process: it holds the lock beside each."""
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                name = os.readlink(descriptor)
                if re.fullmatch(r"/dev/shm/fast(rtps|dds)_[0-9a-f]+_el", name):
                    found.add(Path(name.removesuffix("_el")))
    return found
