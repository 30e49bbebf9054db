"""A group of constants, checked where it is built."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TypeVar

from samlite_ros.errors import TuningError

Number = TypeVar("Number", bool, int, float)


def bounded(default: Number, least: float = 0.0, most: float = 1e6) -> Number:
    """Declare a field of a `TuningGroup`: a default, whose type every value has, and the range, ends included."""
    declared: Number = field(default=default, metadata={"least": least, "most": most})
    return declared


@dataclass(frozen=True)
class TuningGroup:
    """Constants of one subject. Those in "fine px" are in half work pixels, those in "levels" in 1/255 of a colour.

    Raises:
        TuningError: A value is out of its range or of another type, or two values contradict each other.
    """

    def __post_init__(self) -> None:
        for declared in fields(self):
            name = f"{type(self).__name__}.{declared.name}"
            _check(name, getattr(self, declared.name), declared.default, **declared.metadata)

    def _expect_order(self, lower: str, upper: str) -> None:
        low, high = getattr(self, lower), getattr(self, upper)
        if low >= high:
            raise TuningError(f"{type(self).__name__}.{lower}", low, f"less than {upper}, which is {high}")


def _check(name: str, value: object, default: object, least: float, most: float) -> None:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise TuningError(name, value, "True or False")
        return
    kinds: tuple[type, ...] = (int, float) if isinstance(default, float) else (int,)
    if not isinstance(value, kinds) or isinstance(value, bool) or not least <= value <= most:  # type: ignore[operator]
        raise TuningError(name, value, f"{kinds[-1].__name__} from {least:g} to {most:g}")
