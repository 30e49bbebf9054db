"""CPU time and memory of a process and all that it started: the node's network runs in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path

from samlite_ros.live.memory import peak_mib, resident_mib

_PPID, _TIMES = 1, slice(11, 15)  # of /proc/<pid>/stat, counted from the state; utime stime cutime cstime


def tree_of(pid: int) -> list[int]:
    """The process, its children, theirs, and so on."""
    parents = {int(p.name): int(fields[_PPID]) for p in Path("/proc").glob("[0-9]*") if (fields := _stat(int(p.name)))}
    tree = [pid]
    for member in tree:
        tree += [child for child, parent in parents.items() if parent == member]
    return tree


def tree_cpu_s(pid: int) -> float:
    """CPU time of a process and its descendants, all threads, those that have ended included [s]."""
    ticks = sum(int(time) for member in tree_of(pid) for time in _stat(member)[_TIMES])
    return ticks / os.sysconf("SC_CLK_TCK")


def tree_peak_mib(pid: int) -> float:
    """The most resident memory of a process and its descendants [MiB].

    The sum of each one's own peak, which need not have been at the same time; pages that processes share count once, as
    they are shared now.
    """
    return sum(peak_mib(member) * _proportional_mib(member) / resident_mib(member) for member in tree_of(pid))


def _proportional_mib(pid: int) -> float:
    """Resident memory, a page that n processes share counted as 1 / n [MiB]."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat after the name; empty where the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []
