"""Products and convolutions that give zeros of the right shape, for as long as a network is traced.

A trace records what is called, not what came out. What would come out takes minutes at full size in float16, which most
CPUs cannot multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_map

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")
"""Of torch's operators, those that take the time, and `_convolution`; the tracer records them, or what they are called
for, before."""


@contextmanager
def shapes_only() -> Iterator[None]:
    """For as long as the block lasts `PRODUCTS` compute nothing on the CPU, in the whole process."""
    library = torch.library.Library("aten", "IMPL", "CPU")
    try:
        for name in PRODUCTS:
            library.impl(name, _zeros_of(getattr(torch.ops.aten, name).default))
        library.impl("_convolution", _zeros_of(_convolution))
        yield
    finally:
        library._destroy()


def _convolution(*args: Any) -> torch.Tensor:
    """By the public operator, which has the first nine of its arguments and knows shapes since torch 2.4."""
    return torch.as_tensor(torch.ops.aten.convolution.default(*args[:9]))


def _zeros_of(operator: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def give_zeros(*args: Any, **kwargs: Any) -> torch.Tensor:
        given, named = tree_map(_without_values, (args, kwargs))
        found = operator(*given, **named)
        return torch.zeros(found.shape, dtype=found.dtype)

    return give_zeros


def _without_values(value: object) -> object:
    return value.to("meta") if isinstance(value, torch.Tensor) else value
