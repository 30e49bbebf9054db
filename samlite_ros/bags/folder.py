"""The folder of a bag: which storage files lie in it, in which order, and what its metadata.yaml adds to them.

The files say themselves what is in them. metadata.yaml was written for a quick look, may be edited, and is believed
only where nothing else tells: which files there should be, and hashes of types.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from samlite_ros.bags.storage import PACKED_SUFFIX, STORAGE_SUFFIXES
from samlite_ros.foreign.yaml_file import load_yaml

METADATA_NAME = "metadata.yaml"


class FolderNotes(NamedTuple):
    """What metadata.yaml says, as far as it can be understood.

    Args:
        files: Names of the storage files, in their order.
        type_hashes: By topic.
    """

    files: tuple[str, ...] = ()
    type_hashes: dict[str, str] = {}  # noqa: RUF012 - never written to


def read_notes(folder: Path) -> FolderNotes:
    """Read metadata.yaml; what is missing or strange in it is left out."""
    try:
        content = load_yaml(folder / METADATA_NAME)
    except (OSError, ValueError):
        return FolderNotes()
    about = _mapping(_mapping(content).get("rosbag2_bagfile_information"))
    topics = [_mapping(_mapping(t).get("topic_metadata")) for t in _list(about.get("topics_with_message_count"))]
    return FolderNotes(
        tuple(PurePath(str(path)).name for path in _list(about.get("relative_file_paths"))),
        {str(t.get("name")): str(t.get("type_description_hash") or "") for t in topics},
    )


def storage_files(folder: Path, listed: tuple[str, ...] = ()) -> list[Path]:
    """Storage files of a bag folder.

    Args:
        folder: The folder.
        listed: Their order, where it names all of them; else that of the numbers in their names.
    """
    files = [path for path in folder.iterdir() if is_storage(path) and not _is_unpacked(path)]
    if {path.name for path in files} <= set(listed):
        return sorted(files, key=lambda path: listed.index(path.name))
    return sorted(files, key=lambda path: ([int(n) for n in re.findall(r"\d+", path.stem)], path.name))


def numbers_left_out(files: Sequence[Path]) -> list[str]:
    """Names that are missing where a recorder numbered its files: drive_1.mcap between drive_0 and drive_2."""
    parts = [re.fullmatch(r"(.*?)(\d+)(\.\D.*)", path.name) for path in files]
    numbers = {int(part[2]) for part in parts if part}
    if len({part and (part[1], part[3]) for part in parts}) != 1 or len(numbers) < 2:
        return []
    before, _, after = parts[0].groups()  # type: ignore[union-attr]  # as all others
    return [f"{before}{n}{after}" for n in range(min(numbers), max(numbers)) if n not in numbers]


def is_storage(path: Path) -> bool:
    """Its name is that of a storage file, packed or not."""
    return path.name.removesuffix(PACKED_SUFFIX).endswith(STORAGE_SUFFIXES)


def _is_unpacked(path: Path) -> bool:
    """`ros2 bag play` leaves what it unpacked beside the packed file."""
    return path.with_name(f"{path.name}{PACKED_SUFFIX}").exists()


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
