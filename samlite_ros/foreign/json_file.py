"""A JSON file that somebody else wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from samlite_ros.foreign.files import read_bounded
from samlite_ros.foreign.words import one_line


def read_json(path: Path, most_bytes: int) -> Any:
    """What the file says, in whichever Unicode encoding, with or without byte order mark.

    Raises:
        OSError: It cannot be read, is no regular file, or is too large.
        ValueError: It is no JSON, nested too deeply, or holds NaN or Infinity, which are none.
    """
    try:
        return json.loads(read_bounded(path, most_bytes), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no text: {one_line(error)}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")
