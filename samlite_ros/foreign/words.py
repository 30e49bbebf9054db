"""Foreign texts as they may stand in logs, errors and messages: escaped and short."""

from __future__ import annotations

import re
from collections.abc import Iterable

from samlite_ros.foreign.limits import KEPT_TEXT_CHARACTERS, SHOWN_CHARACTERS

_SHOWN_NAMES = 10
_PLAIN_NAME = re.compile(rf"[A-Za-z0-9_./* -]{{1,{SHOWN_CHARACTERS}}}")


def quoted(value: object, most: int = SHOWN_CHARACTERS) -> str:
    """A foreign value in one line: quoted, control characters escaped, cut with its length where it is long.

    Args:
        value: A text; anything else is shown as its type and, where it is a number, itself.
        most: Characters of the text that are shown.
    """
    if not isinstance(value, str):
        return _plain(value, most)
    if len(value) <= most:
        return repr(value)
    return f"{value[:most]!r}... ({len(value):,} characters)"


def quoted_names(values: Iterable[object]) -> str:
    """Some foreign names, and how many more; those that are plain words as they are, others quoted."""
    names = list(values)
    more = f" and {len(names) - _SHOWN_NAMES:,} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(named(name) for name in names[:_SHOWN_NAMES]) + more


def named(value: object) -> str:
    """A foreign name: as it is where it is plain and short, else quoted."""
    return value if isinstance(value, str) and _PLAIN_NAME.fullmatch(value) else quoted(value)


def cut(text: str, most: int = KEPT_TEXT_CHARACTERS) -> str:
    """The text, or where it is longer its beginning with '...'."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def printable(text: str) -> str:
    """The text with what a terminal does not show escaped: controls, and marks that turn the direction of writing."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def reason(error: OSError) -> str:
    """Why, in the system's words without its number."""
    return error.strerror or str(error)


def one_line(error: object, most: int = 300) -> str:
    """What a library says of its failure: one line, without control characters, cut."""
    said = reason(error) if isinstance(error, OSError) else error
    words = " ".join(str(said).split()) or type(error).__name__
    return cut("".join(c if c.isprintable() else "?" for c in words), most)


def _plain(value: object, most: int) -> str:
    """A value that is no text; whole structures are not written out, however large they would be."""
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() < 64):
        return repr(value)
    if isinstance(value, list | tuple) and len(value) <= most and not any(isinstance(v, list | dict) for v in value):
        return cut(f"[{', '.join(quoted(v, 20) for v in value)}]", most)
    if isinstance(value, list | tuple | dict | set):
        return f"a {type(value).__name__} of {len(value):,}"
    return f"a {type(value).__name__}" if isinstance(value, int) else cut(repr(type(value).__name__), most)
