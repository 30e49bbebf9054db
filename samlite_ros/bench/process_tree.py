"""CPU time and memory of a process and all that it started: the node's network runs in a process of its own."""

from __future__ import annotations

import psutil

from samlite_ros.live.memory import peak_mib


def tree_of(pid: int) -> list[int]:
    """The process, its children, theirs, and so on."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def tree_cpu_s(pid: int) -> float:
    """CPU time of a process and its descendants, all threads, those that have ended included [s]."""
    return sum(sum(psutil.Process(member).cpu_times()[:4]) for member in tree_of(pid))


def tree_peak_mib(pid: int) -> float:
    """The most resident memory of a process and its descendants [MiB].

    The sum of each one's own peak, which need not have been at the same time; pages that processes share count once, as
    they are shared now.
    """
    memory = {member: psutil.Process(member).memory_full_info() for member in tree_of(pid)}
    return sum(peak_mib(member) * used.pss / used.rss for member, used in memory.items())
