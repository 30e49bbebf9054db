"""Messages of an older definition of their type, as those of today: fields that came later have their defaults."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore


def as_today(message: Any, type_name: str, today: Typestore) -> Any:
    """The same message with every field that its type has today.

    Args:
        message: Of the older definition.
        type_name: Of the type.
        today: Knows today's definition.
    """
    if type_name not in today.fielddefs:
        return message
    fields = today.fielddefs[type_name][1]
    values = {
        name: _of_today(getattr(message, name), kind, today) if hasattr(message, name) else _default(kind, today)
        for name, kind in fields
    }
    return today.types[type_name](**values)


def _of_today(value: Any, kind: Any, today: Typestore) -> Any:
    node, what = kind
    if node == Nodetype.NAME:
        return as_today(value, what, today)
    if node in (Nodetype.ARRAY, Nodetype.SEQUENCE) and what[0][0] == Nodetype.NAME:
        return [as_today(item, what[0][1], today) for item in value]
    return value


def fields_left_out(type_name: str, given: Collection[str], today: Typestore) -> dict[str, Any]:
    """The other fields of a message of this type, as a new message has them."""
    return {name: _default(kind, today) for name, kind in today.fielddefs[type_name][1] if name not in given}


def _default(kind: Any, today: Typestore) -> Any:
    """What a new message holds: zeros, empty texts, empty sequences."""
    node, what = kind
    if node == Nodetype.BASE:
        name = what[0]
        return "" if name in ("string", "wstring") else False if name == "bool" else 0.0 if "float" in name else 0
    if node == Nodetype.NAME:
        return today.types[what](**fields_left_out(what, (), today))
    if node == Nodetype.SEQUENCE:
        return []
    return [_default(what[0], today) for _ in range(what[1])]
