"""In which numbers a network computes: known from device, size and CPU, confirmed by a measurement.

A small network's products are so short that rounding and waking kernels costs more than narrower numbers save: it stays
in float32. For a large one bfloat16 is several times faster where the CPU has instructions for it, and several times
slower where it has not: so the CPU must name them, and in one product of the network's size, in turns, it must win.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.pytorch.cpu_flags import has_bfloat16

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

LARGE_MACS = 1e9
"""A pass of a small image encoder is no more multiply-adds than this, without attention."""
_ROWS, _ROUNDS = 256, 4
_WORTH = {torch.bfloat16: 1.3, torch.float32: 1.1}
"""So much faster than plain float32 a product must be; bfloat16 costs accuracy, the other nothing."""
_SAME = 1e-5
"""Root mean square by which float32 products may differ, of their own; bfloat16 inside would be 2e-3."""


@dataclass(frozen=True)
class Precision:
    """How products are computed.

    Args:
        dtype: Of weights and activations.
        matmul: For `torch.set_float32_matmul_precision`.
        reason: Why, in words.
    """

    dtype: torch.dtype
    matmul: str = "highest"
    reason: str = ""

    @property
    def name(self) -> str:
        """Of the dtype."""
        return str(self.dtype).removeprefix("torch.")


def choose_device(name: str) -> torch.device:
    """'auto' is CUDA where there is one.

    Raises:
        ModelLoadError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelLoadError(f"device {name!r} does not exist: 'auto', 'cpu', 'cuda' or 'cuda:1'") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelLoadError(
            f"device {name!r} was asked for, but torch {torch.__version__} sees {torch.cuda.device_count()} CUDA"
            " devices: check the driver and that this torch is a CUDA build, or use 'cpu'"
        )
    return device


def choose_precision(name: str, device: torch.device, config: Any) -> Precision:
    """Precision for one network.

    Args:
        name: 'auto' or a dtype.
        device: Where it computes.
        config: A Sam3LiteTextConfig with the input size that is used.

    Raises:
        ModelLoadError: There is no such dtype.
    """
    if name != "auto" and name not in DTYPES:
        raise ModelLoadError(f"dtype {name!r} is unknown: 'auto', {', '.join(map(repr, DTYPES))}")
    if device.type == "cuda":
        return Precision(DTYPES.get(name) or _of_cuda(device), reason="" if name in DTYPES else "what the GPU has")
    if device.type != "cpu" or not is_large(config):
        return Precision(DTYPES.get(name, torch.float32), reason="" if name in DTYPES else "a small network")
    backbone = config.vision_config.backbone_config
    return _of_cpu(DTYPES.get(name), int(backbone.hidden_size), int(backbone.intermediate_size))


def in_words(device: torch.device, precision: Precision) -> str:
    """Such as 'cpu, bfloat16 (3.9 times as fast as plain float32 here)'."""
    matmul = " by oneDNN" if precision.matmul != "highest" else ""
    return f"{device}, {precision.name}{matmul}" + (f" ({precision.reason})" if precision.reason else "")


def is_large(config: Any) -> bool:
    """Whether a pass of the image encoder is long enough for threads and narrower numbers to pay on a CPU."""
    backbone = config.vision_config.backbone_config
    tokens = (int(config.image_size) // int(backbone.patch_size)) ** 2
    width, hidden = int(backbone.hidden_size), int(backbone.intermediate_size)
    return tokens * int(backbone.num_hidden_layers) * (4 * width**2 + 2 * width * hidden) > LARGE_MACS


@torch.inference_mode()
def products(width: int, hidden: int) -> dict[Precision, Callable[[], torch.Tensor]]:
    """The same product of (256, width) and (width, hidden) in each precision that a CPU may be worth."""
    generator = torch.Generator().manual_seed(0)
    rows, weight = (torch.randn(n, width, generator=generator) for n in (_ROWS, hidden))

    def product(precision: Precision) -> Callable[[], torch.Tensor]:
        operands = rows.to(precision.dtype), weight.to(precision.dtype)

        def call() -> torch.Tensor:
            torch.set_float32_matmul_precision(precision.matmul)
            return F.linear(*operands)

        return call

    choices = [Precision(torch.float32), Precision(torch.float32, "medium")]
    if has_bfloat16():
        choices.append(Precision(torch.bfloat16))
    return {choice: product(choice) for choice in choices}


def _of_cuda(device: torch.device) -> torch.dtype:
    major, _ = torch.cuda.get_device_capability(device)  # Ampere (8) was the first with bfloat16 in hardware
    return torch.bfloat16 if major >= 8 else torch.float16


def _of_cpu(dtype: torch.dtype | None, width: int, hidden: int) -> Precision:
    """The fastest that is worth it; None = any dtype."""
    if dtype not in (None, torch.float32):
        return Precision(dtype)
    gains = _gains(width, hidden)
    chosen = max((p for p in gains if dtype in (None, p.dtype)), key=lambda precision: gains[precision])
    gain = f"{gains[chosen]:.1f} times as fast as plain float32 here"
    return Precision(chosen.dtype, chosen.matmul, gain if gains[chosen] > 1 else "nothing faster here")


@lru_cache(maxsize=4)
@torch.inference_mode()
def _gains(width: int, hidden: int) -> dict[Precision, float]:
    """How many times faster each precision is that is worth it; plain float32 is 1."""
    calls = products(width, hidden)
    before = torch.get_float32_matmul_precision()
    try:
        results = {precision: call() for precision, call in calls.items()}  # and warm
        times = {precision: float("inf") for precision in calls}
        for _ in range(_ROUNDS):
            for precision, call in calls.items():
                began_s = time.perf_counter()
                call()
                times[precision] = min(times[precision], time.perf_counter() - began_s)
    finally:
        torch.set_float32_matmul_precision(before)
    plain = Precision(torch.float32)
    gains = {p: times[plain] / took_s for p, took_s in times.items()}
    return {p: g for p, g in gains.items() if p == plain or (g >= _WORTH[p.dtype] and _is_as_exact(p, results, plain))}


def _is_as_exact(precision: Precision, results: dict[Precision, torch.Tensor], plain: Precision) -> bool:
    """Narrower numbers are chosen by their dtype, never by the name of float32."""
    if precision.dtype != torch.float32:
        return True
    exact = results[plain]
    return float((results[precision] - exact).norm()) <= _SAME * float(exact.norm())
