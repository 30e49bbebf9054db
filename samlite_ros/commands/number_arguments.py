"""Numbers on the command line: out of range, they are wrong usage."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def number(kind: type[Number], low: float, high: float = math.inf) -> Callable[[str], Number]:
    """A type for argparse.

    Args:
        kind: int or float.
        low, high: Bounds, inclusive; infinity itself is refused.
    """

    bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
    expected = f"expected {'an integer' if kind is int else 'a number'} {bounds}, got {{!r}}"

    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            raise ArgumentTypeError(expected.format(text)) from None
        if not low <= value <= high or not math.isfinite(value):
            raise ArgumentTypeError(expected.format(text))
        return value

    return read
