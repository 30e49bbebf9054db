"""The class of a type that a bag names: of an installed message package, and of nothing else.

A bag is written by whoever likes to; what it calls a type must not make Python import a module.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from samlite_ros.errors import BagError
from samlite_ros.foreign.words import one_line, quoted
from samlite_ros.messages.fill import message_class

_TYPE_NAME = re.compile(r"([a-z][a-z0-9_]{0,127})/msg/([A-Z][A-Za-z0-9]{0,127})")
_TYPE_SUPPORT = "{}_s__rosidl_typesupport_*"
"""What rosidl builds into the folder of every message package, and nobody else."""


def installed_class(type_name: str) -> Any:
    """The message class of a type.

    Args:
        type_name: As a bag says it, e.g. 'sensor_msgs/msg/Image'.

    Raises:
        BagError: It is not the name of a type, is not installed, or what bears its name is no message.
    """
    found = _TYPE_NAME.fullmatch(type_name)
    if found is None:
        raise BagError(f"{quoted(type_name) if type_name else 'its type'} is not installed")
    package, name = found.groups()
    if not _is_message_package(package):
        raise BagError(f"{type_name} is not installed")
    try:
        kind = message_class(type_name)
    except Exception as error:  # an import may end in any way
        raise BagError(f"{type_name} is not installed: {one_line(error)}") from error
    if kind.__module__.rpartition(".")[0] != f"{package}.msg" or not hasattr(kind, "get_fields_and_field_types"):
        raise BagError(f"{type_name} is no message: {quoted(name)} of {package} is something else")
    return kind


def _is_message_package(name: str) -> bool:
    """Looked up without running any of it: importing a module below a package would run the package."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return False
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec is not None else []
    return any((f / "msg" / "__init__.py").is_file() and any(f.glob(_TYPE_SUPPORT.format(name))) for f in folders)
