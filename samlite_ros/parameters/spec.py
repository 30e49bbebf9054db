"""What is allowed for one parameter, and values brought to it."""

from __future__ import annotations

import math
from dataclasses import Field, dataclass
from enum import Enum
from typing import Any

from samlite_ros.errors import ParameterError
from samlite_ros.foreign.words import quoted

_TYPE_NAMES = {"str": "a text", "int": "an integer", "float": "a number", "bool": "true or false"}


class Change(Enum):
    """When a parameter may change."""

    START = "at start"
    CONFIGURE = "while unconfigured"
    RUN = "at any time"


@dataclass(frozen=True)
class Spec:
    """What is allowed for one parameter.

    Args:
        meaning: One line for the parameter file and docs/parameters.md.
        change: When it may change.
        low, high: Bounds, inclusive; None = none.
        unit: Of a number.
        choices: Values of a text; empty = any.
    """

    meaning: str
    change: Change
    low: float | None = None
    high: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def range_text(self) -> str:
        """E.g. '0 to 1', 'at least 1', 'raw, compressed'; empty = anything."""
        if self.choices:
            return ", ".join(self.choices)
        if self.low is None:
            return ""
        return f"{self.low:g} to {self.high:g}" if self.high is not None else f"at least {self.low:g}"


def coerced(item: Field[Any], value: object) -> object:
    """A value as a parameter has it.

    Raises:
        ParameterError: It is of the wrong type or out of range.
    """
    spec: Spec = item.metadata["spec"]
    if item.type == "tuple[str, ...]":
        return _to_texts(item.name, value)
    if item.type == "float" and type(value) is int:
        value = float(value)
    if type(value).__name__ != item.type:
        raise ParameterError(f"{item.name} must be {_TYPE_NAMES[str(item.type)]}, got {quoted(value)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        in_range = math.isfinite(value) and (spec.low is None or value >= spec.low)
        if not in_range or (spec.high is not None and value > spec.high):
            raise ParameterError(
                f"{item.name} must be {spec.range_text}{spec.unit and ' ' + spec.unit}, got {quoted(value)}"
            )
    if spec.choices and value not in spec.choices:
        raise ParameterError(f"{item.name} must be one of {spec.range_text}, got {quoted(value)}")
    return value


def _to_texts(name: str, value: object) -> tuple[str, ...]:
    """Blank texts are left out. rcl reads an empty list in a parameter file as no value, and [''] as one blank text."""
    texts = value.split(",") if isinstance(value, str) else value or ()
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ParameterError(f"{name} must be a list of texts, got {quoted(value)}")
    return tuple(text.strip() for text in texts if text.strip())
