"""What the computer offers: shared memory, socket buffers, disk, memory, processors, clock."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from samlite_ros.doctor.finding import Finding, error, ok, warn
from samlite_ros.foreign.limits import MIB

SHARED_MEMORY = Path("/dev/shm")
SYSTEM = Path("/proc/sys/net")
NEEDED_SHARED_MIB = 64
"""Of a node and a camera with config/fastdds.xml, which take 32 MiB each."""
IMAGE_MIB = 6.2
"""A raw image of 1920x1080 px."""
NEEDED_FRAGMENTS_MIB = 64
FREE_DISK_MIB = 1024
FREE_MEMORY_MIB = 1024
OLDEST_TIME_S = 1_735_689_600
"""Of the year 2025; an earlier clock was never set."""
_NOT_SYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_BYTES = 256


def check_shared_memory(folder: Path = SHARED_MEMORY) -> list[Finding]:
    """Room for the middleware's segments, and what ended processes left there."""
    if not folder.is_dir():
        return [ok("shared memory", f"there is no {folder}: the middleware uses sockets")]
    free = shutil.disk_usage(folder).free // MIB
    words = f"{free} MiB free in {folder}"
    few = f"raw images need it: docker run --shm-size=512m, or --ipc=host; {NEEDED_SHARED_MIB} MiB at least"
    findings = [warn("shared memory", words, few) if free < NEEDED_SHARED_MIB else ok("shared memory", words)]
    stale = list(stale_segments(folder))
    if stale:
        size = sum(path.stat().st_size for path in stale) / MIB
        what = f"{len(stale)} segments of Fast DDS ({size:.1f} MiB) belong to no process any more"
        advice = f"they only take room: `fastdds shm clean` while no ROS node runs, or rm {stale[0]} ..."
        findings.append(warn("shared memory", what, advice))
    return findings


def stale_segments(folder: Path = SHARED_MEMORY) -> Iterator[Path]:
    """Fast DDS's segments whose process has ended: nobody holds the lock beside them any more.

    Ports are none of them: whoever starts next takes them over, and others may still write to them.
    """
    for lock in sorted(folder.glob("fastrtps_*_el")) + sorted(folder.glob("fastdds_*_el")):
        segment = lock.with_name(lock.name.removesuffix("_el"))
        if "_port" not in segment.name and segment.exists() and not _is_held(lock):
            yield segment


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or another user's
        return True
    return False


def check_socket_buffers(system: Path = SYSTEM) -> Finding:
    """The kernel's bounds on what waits in a socket: images from another machine are larger than the defaults."""
    rmem = _number(system / "core/rmem_max")
    fragments = _number(system / "ipv4/ipfrag_high_thresh")
    if rmem is None:
        return ok("socket buffers", "the kernel does not tell its bounds")
    words = f"net.core.rmem_max {rmem / MIB:.1f} MiB"
    words += "" if fragments is None else f", net.ipv4.ipfrag_high_thresh {fragments / MIB:.0f} MiB"
    small = rmem < IMAGE_MIB * MIB
    few = fragments is not None and fragments < NEEDED_FRAGMENTS_MIB * MIB
    if small or few:
        lines = ["net.core.rmem_max=33554432"] * small + ["net.ipv4.ipfrag_high_thresh=134217728"] * few
        advice = f"only for raw images from other machines: sudo sysctl -w {' '.join(lines)}; or compressed images"
        return (warn if rmem < MIB else _fine)("socket buffers", words, advice)
    return ok("socket buffers", words)


def _fine(subject: str, found: str, advice: str) -> Finding:
    return ok(subject, f"{found} ({advice})")


def check_disk(folders: Sequence[tuple[str, Path]]) -> list[Finding]:
    """Free space, and the right to write, where things are kept.

    Args:
        folders: What is kept there, and the folder, which need not exist yet.
    """
    return [_check_folder(purpose, folder) for purpose, folder in folders]


def _check_folder(purpose: str, folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free // MIB
    words = f"{purpose} in {folder}: {free} MiB free"
    if not there.is_dir():
        return error("disk", f"{purpose} in {folder}: {there} is no folder", "name another folder")
    if not os.access(there, os.W_OK):
        return warn("disk", f"{purpose} in {folder} cannot be written", "give this user the right to write there")
    return (
        warn("disk", words, f"make room: {FREE_DISK_MIB} MiB at least") if free < FREE_DISK_MIB else ok("disk", words)
    )


def check_memory(table: Path = Path("/proc/meminfo"), cores: int | None = None) -> Finding:
    """Free memory and processors."""
    try:
        rows = dict(line.split(":", 1) for line in table.read_text(encoding="ascii").splitlines())
        free = int(rows["MemAvailable"].split()[0]) // 1024
    except (OSError, KeyError, ValueError):
        return ok("memory", "the system does not tell how much there is")
    count = cores or len(os.sched_getaffinity(0))
    words = f"{free} MiB available, {count} processors"
    if free < FREE_MEMORY_MIB:
        return warn("memory", words, "torch with a small network takes 0.5 GB, S0 in float32 2 GB and more")
    return (
        warn("memory", words, "node, network and camera share one: expect fewer frames")
        if count < 2
        else ok("memory", words)
    )


def check_clock(
    now_s: Callable[[], float] = time.time, is_synchronised: Callable[[], bool | None] | None = None
) -> Finding:
    """Was the system's clock ever set, and does it follow others'?"""
    if now_s() < OLDEST_TIME_S:
        stamp = time.strftime("%Y-%m-%d", time.gmtime(now_s()))
        return error("clock", f"the system says {stamp}: it was never set", "set it: stamps would go back when it is")
    follows = (is_synchronised or _is_synchronised)()
    if follows is None:
        return ok("clock", "set; whether it follows others' is not told here")
    if not follows:
        return ok("clock", "set, follows no other clock (needed where several machines share a graph: chrony)")
    return ok("clock", "set, and follows others'")


def _is_synchronised() -> bool | None:
    """As the kernel says; None = it does not."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes 0: nothing is set
    try:
        state = int(ctypes.CDLL(None).adjtimex(buffer))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _NOT_SYNCHRONISED


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
