"""Where exports and engines are kept when nobody says where."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`samlite_ros` in the user's cache; not made here."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "samlite_ros"
