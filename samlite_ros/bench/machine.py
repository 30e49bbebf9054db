"""What the benchmark ran on, and what else the machine did meanwhile."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from samlite_ros import __version__
from samlite_ros.segmenter.pytorch.cpu_flags import CPUINFO, cpu_flags

_BACKENDS = ("torch", "transformers", "onnxruntime", "onnxruntime-gpu", "tensorrt")
_PACKAGES = (*_BACKENDS, "numpy", "opencv-python", "scipy", "rosbags")
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "i8mm", "sve")


def describe() -> dict[str, Any]:
    """Processor, memory, GPU, operating system and versions."""
    flags = cpu_flags()
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "cpu_flags": [f for f in _CPU_FLAGS if f in flags],
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": _gpu_name(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "samlite_ros": __version__,
        "packages": {name: v for name in _PACKAGES if (v := _version(name))},
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
        "rmw": os.environ.get("RMW_IMPLEMENTATION", "default"),
    }


class OthersLoad:
    """Cores that other processes kept busy while the `with` block ran; `cores` is set when it ends.

    A benchmark that shares its machine measures its neighbours too: the number belongs beside the figures.
    """

    def __init__(self) -> None:
        self.cores = 0.0

    def __enter__(self) -> OthersLoad:
        self._start = self._now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wall, busy, own = (end - start for end, start in zip(self._now(), self._start, strict=True))
        self.cores = max(busy - own, 0.0) / wall if wall > 0 else 0.0

    @staticmethod
    def _now() -> tuple[float, float, float]:
        times = os.times()  # of this process and of its children that have ended
        return time.monotonic(), _busy_s(), sum(times[:4])


def _busy_s() -> float:
    """CPU time that all processes together have used since start-up [s]."""
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0))  # later fields are part of the first


def _cpuinfo() -> list[str]:
    try:
        return CPUINFO.read_text().splitlines()
    except OSError:
        return []


def _cpu_name() -> str:
    named = (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith(("model name", "Model")))
    return next(named, "") or _board_name() or platform.processor() or platform.machine()


def _board_name() -> str:
    """Jetsons and other boards name themselves in the device tree."""
    try:
        return Path("/proc/device-tree/model").read_text().strip("\0\n ")
    except OSError:
        return ""


def _gpu_name() -> str:
    if find_spec("torch") is None:
        return ""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
