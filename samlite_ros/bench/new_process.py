"""A call in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_new_process(function: Callable[..., T], *arguments: object) -> T:
    """Call an importable function in a fresh interpreter, so that nothing that ran before counts."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)
