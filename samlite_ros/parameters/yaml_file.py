"""A YAML file that a person wrote: read, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import yaml

from samlite_ros.errors import ParameterError


def read_yaml(path: Path, what: str) -> object:
    """What the file says.

    Args:
        path: The file.
        what: What it is to be, for the error.

    Raises:
        ParameterError: It cannot be read, or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ParameterError(f"{what} {path}: {' '.join(str(error).split())}") from error
