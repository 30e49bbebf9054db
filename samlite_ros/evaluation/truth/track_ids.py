"""Track ids as labelling tools write them: in one of several fields, from 0 or from 1, as numbers or as names."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from samlite_ros.foreign.words import quoted

FIELDS = ("trackid", "instanceid", "trackingid", "trackletid", "objectid")
"""Names of the field, in the order in which they are believed; case and what is no letter do not matter."""
WHERE_TRACK_IDS_ARE = (
    "track_id, instance_id, tracking_id, tracklet_id or object_id, of an annotation or in its attributes"
)

_DIGITS = 19
"""Numbers of more digits are names."""


def written_id(annotation: Mapping[str, Any]) -> Hashable:
    """What an annotation says of its track, in a field of its own or under `attributes`; None = nothing.

    Raises:
        ValueError: It says something that can be no id.
    """
    attributes = annotation.get("attributes")
    fields = {**_fields(attributes), **_fields(annotation)}
    for name in FIELDS:
        value = fields.get(name)
        if value in (None, ""):
            continue
        is_number = type(value) is int or (isinstance(value, float) and value.is_integer())
        if not is_number and not isinstance(value, str):
            raise ValueError(
                f"annotation {annotation.get('id')} has the track id {quoted(value)}: neither number nor name"
            )
        return int(value) if is_number or (value.isdecimal() and len(value) < _DIGITS) else value
    return None


def number_tracks(written: Iterable[tuple[Hashable, Hashable]]) -> dict[Hashable, int]:
    """Number the tracks of one file.

    Args:
        written: Image and written id of every annotation.

    Returns:
        Number by written id; what is not in it is no track. Numbers above 0 stay as they are. 0 is a track where ids
        count from 0, that is where others are written and no image has two things of it; else it means "none".
    """
    pairs = [(image, name) for image, name in written if name is not None]
    names = dict.fromkeys(name for _, name in pairs)
    zeros = [image for image, name in pairs if name == 0]
    if len(names) < 2 or len(zeros) != len(set(zeros)):
        names.pop(0, None)
    numbers: dict[Hashable, int] = {name: name for name in names if isinstance(name, int) and name > 0}
    free = max(numbers.values(), default=0)
    for name in names:
        if name not in numbers:
            free += 1
            numbers[name] = free
    return numbers


def _fields(content: Any) -> dict[str, Any]:
    """Fields by their names' letters; `attributes` may be a list of {name, value} too."""
    if isinstance(content, list):
        content = {str(item.get("name")): item.get("value") for item in content if isinstance(item, dict)}
    if not isinstance(content, Mapping):
        return {}
    said = {name: value for name, value in content.items() if value is not None}
    return {re.sub(r"[^a-z]", "", str(name).lower()): value for name, value in said.items()}
