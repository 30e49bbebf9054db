"""A YAML file that a person wrote: read, or refused in one line."""

from __future__ import annotations

from pathlib import Path

from samlite_ros.errors import ParameterError
from samlite_ros.foreign.words import one_line
from samlite_ros.foreign.yaml_file import load_yaml


def read_yaml(path: Path, what: str) -> object:
    """What the file says.

    Args:
        path: The file.
        what: What it is to be, for the error.

    Raises:
        ParameterError: It cannot be read, or is no YAML.
    """
    try:
        content: object = load_yaml(path)
    except (OSError, ValueError) as error:
        raise ParameterError(f"{what} {path}: {one_line(error)}") from error
    return content
