"""ONNX Runtime's execution providers: which one is taken, and with which options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.exported.manifest import Graph, Manifest
from samlite_ros.segmenter.exported.profiles import profile

NAMES = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Our name to ONNX Runtime's, fastest first."""
_ON_CUDA = ("tensorrt", "cuda")
_ON_CPU = ("openvino", "cpu")
_DEVICE = re.compile(r"cuda(?::(\d+))?")


class Target(NamedTuple):
    """Where graphs run.

    Args:
        provider: A key of `NAMES`.
        device_id: Of the GPU; 0 on a CPU.
    """

    provider: str
    device_id: int

    @property
    def memory(self) -> str:
        """ONNX Runtime's name of the device whose memory holds what passes between graphs."""
        return "cuda" if self.provider in _ON_CUDA else "cpu"


def choose_targets(provider: str, device: str, available: Sequence[str]) -> list[Target]:
    """What may be tried, best first.

    Args:
        provider: 'auto', or a key of `NAMES`: this one, or none.
        device: 'auto', 'cpu', 'cuda', 'cuda:1' ...
        available: What this ONNX Runtime was built with.

    Raises:
        ModelLoadError: There is nothing that fits; names what there is.
    """
    found = _DEVICE.fullmatch(device)
    if device not in ("auto", "cpu") and not found:
        raise ModelLoadError(f"device {device!r} does not exist: 'auto', 'cpu', 'cuda' or 'cuda:1'")
    if provider != "auto" and provider not in NAMES:
        raise ModelLoadError(f"provider {provider!r} does not exist: 'auto', {', '.join(map(repr, NAMES))}")
    fitting = {"auto": tuple(NAMES), "cpu": _ON_CPU}.get(device, _ON_CUDA)
    wanted = [name for name in fitting if provider in ("auto", name)]
    present = [name for name in wanted if NAMES[name] in available]
    if not present:
        asked = f"provider {provider!r} on device {device!r}" if provider != "auto" else f"device {device!r}"
        have = ", ".join(name for name in NAMES if NAMES[name] in available) or "none that is known"
        remedy = f"none of its providers computes there ({have})" if not wanted else f"this onnxruntime has {have}"
        raise ModelLoadError(
            f"{asked} was asked for, but {remedy}: install the onnxruntime that has it (docs/jetson.md), or use 'auto'"
        )
    device_id = int(found[1] or 0) if found else 0
    return [Target(name, device_id if name in _ON_CUDA else 0) for name in present]


def provider_options(target: Target, graph: Graph, manifest: Manifest, cache: Path, threads: int) -> dict[str, Any]:
    """Options of the provider for one graph.

    TensorRT's network is strongly typed because none of fp16, bf16 and int8 is switched on: it computes in the types
    that the graph names.
    """
    if target.provider == "cuda":
        return {"device_id": str(target.device_id), "arena_extend_strategy": "kSameAsRequested"}
    if target.provider == "openvino":
        return {"device_type": "CPU", "num_of_threads": str(max(threads, 1)), "precision": "FP32"}
    if target.provider == "cpu":
        return {}
    shapes = profile(graph, manifest)
    return {
        "device_id": str(target.device_id),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_engine_cache_prefix": graph.name,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(cache),
        **{f"trt_profile_{key}_shapes": _in_words(getattr(shapes, key)) for key in ("min", "opt", "max") if shapes.min},
    }


def _in_words(shapes: dict[str, tuple[int, ...]]) -> str:
    return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())
