"""Values of launch arguments, which are texts: read, or refused by the argument's name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from samlite_ros.errors import ParameterError


def to_list(text: str) -> list[str]:
    """Read 'a, b', '[a, b]' or "['a', 'b']"."""
    inside = text.strip().removeprefix("[").removesuffix("]")
    return [item for item in (part.strip().strip("'\"").strip() for part in inside.split(",")) if item]


def to_truth(name: str, text: str) -> bool:
    """Read true or false, 1 or 0.

    Raises:
        ParameterError: It is none of these.
    """
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise _refusal(name, "true or false", text)


def to_whole_number(name: str, text: str) -> int:
    """Read a whole number.

    Raises:
        ParameterError: It is none, or negative.
    """
    if not (text.isascii() and text.isdecimal()):
        raise _refusal(name, "a whole number", text)
    return int(text)


def to_number(name: str, text: str, least: float = 0.0) -> float:
    """Read a number.

    Raises:
        ParameterError: It is none, or less than the least.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:
        raise _refusal(name, f"a number of at least {least:g}", text)
    return number


def one_of(name: str, text: str, choices: Sequence[str]) -> str:
    """The text itself.

    Raises:
        ParameterError: It is none of the choices.
    """
    if text not in choices:
        raise _refusal(name, f"one of {', '.join(filter(None, choices))}", text)
    return text


def camera_topics(cameras: Sequence[str], images: Sequence[str]) -> dict[str, str]:
    """The topic of each camera, by the node's own name for it.

    Raises:
        ParameterError: There are not as many topics as cameras.
    """
    names = [f"{camera}/image" for camera in cameras] or ["image"]
    if images and len(images) != len(names):
        which = f"{len(names)} cameras ({', '.join(cameras) or 'without a name'})"
        raise ParameterError(
            f"launch argument image must name a topic for each of {which}, "
            f"comma-separated, or be left out; got {', '.join(images)}"
        )
    return dict(zip(names, images or names, strict=True))


def of_either_transport(topics: Iterable[str], namespace: str) -> list[str]:
    """Full names of the topics, and of those of their compressed images."""
    full = [f"/{(t if t.startswith('/') else f'{namespace}/{t}').lstrip('/')}" for t in topics]
    return [name for topic in full for name in (topic, f"{topic}/compressed")]


def _refusal(name: str, expected: str, text: str) -> ParameterError:
    return ParameterError(f"launch argument {name} must be {expected}, got {text!r}")
