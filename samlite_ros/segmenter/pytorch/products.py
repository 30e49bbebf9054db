"""Products with a layer's weights, by whichever library is the faster at their size; the same numbers to rounding.

torch gives float32 to its BLAS, which on some processors takes twice as long as oneDNN. A call of oneDNN costs more, so
that short products stay where they are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Layer = Callable[[torch.Tensor], torch.Tensor]

LONG_MACS = 2_000_000
"""From so many multiply-adds on a product is longer than what a call of oneDNN costs."""
_ROWS, _WIDTH, _ROUNDS = 512, 128, 5
_WORTH = 1.5
"""So much faster oneDNN must be in a long product. It is twice as fast or hardly faster: loads choose the same."""
_SAME = 1e-5
"""Root mean square by which its numbers may differ, of their own."""


def linear(module: Any, rectified: bool = False, to_the_bit: bool = False) -> Layer:
    """(..., C_in) to (..., C_out) by a module's weights, which stay as they are.

    Args:
        module: A torch.nn.Linear.
        rectified: Negative numbers become 0.
        to_the_bit: The numbers are torch's to the bit; the first long product tells whether oneDNN's are. They are
            where both add up a row in one go, as they do up to some 200 numbers.
    """
    weight, bias = module.weight, module.bias
    is_choice = weight.device.type == "cpu" and weight.dtype == torch.float32
    least, after = LONG_MACS // len(weight) if is_choice else math.inf, "relu" if rectified else "none"
    agrees = None if to_the_bit else True

    def product(values: torch.Tensor) -> torch.Tensor:
        nonlocal agrees
        if agrees is not False and values.numel() >= least and onednn_pays():
            if agrees is None:
                agrees = torch.equal(F.linear(values, weight, bias), _by_onednn(values, weight, bias, "none"))
            if agrees:
                return _by_onednn(values, weight, bias, after)
        found = F.linear(values, weight, bias)
        return found.relu_() if rectified else found

    return product


def widening(module: Any, to_the_bit: bool = False) -> Layer:
    """The two layers after attention; their usual activation is computed in place, which spares a second wide array."""
    narrow, activation = linear(module.fc2, to_the_bit=to_the_bit), module.activation_fn
    is_rectifier = isinstance(activation, nn.ReLU)
    wide = linear(module.fc1, is_rectifier, to_the_bit)
    if is_rectifier:
        return lambda values: narrow(wide(values))
    return lambda values: narrow(activation(wide(values)))


@lru_cache(maxsize=1)
@torch.inference_mode()
def onednn_pays() -> bool:
    """Whether oneDNN is at hand, faster at long float32 products, and as exact: measured once, in turns."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    generator = torch.Generator().manual_seed(0)
    rows, weight = (torch.randn(n, _WIDTH, generator=generator) for n in (_ROWS, 2 * _WIDTH))
    calls = [lambda: F.linear(rows, weight), lambda: _by_onednn(rows, weight, None, "none")]
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # else torch's own may be oneDNN's
    try:
        exact, other = (call() for call in calls)  # and warm
        times_s = [[_took_s(call) for call in calls] for _ in range(_ROUNDS)]
    except RuntimeError:  # a torch whose operation is another one
        return False
    finally:
        torch.set_float32_matmul_precision(before)
    if float((other - exact).norm()) > _SAME * float(exact.norm()):
        return False
    plain_s, onednn_s = (min(times) for times in zip(*times_s, strict=True))
    return plain_s > _WORTH * onednn_s


def _by_onednn(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, after: str) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(values, weight, bias, after, [], "")
    return found


def _took_s(call: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    call()
    return time.perf_counter() - began_s
