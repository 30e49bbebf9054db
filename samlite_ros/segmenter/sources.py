"""From a model's name to a folder with its files."""

from __future__ import annotations

from pathlib import Path

from samlite_ros.errors import ModelLoadError

DEMO_FOLDER = Path(__file__).parent.parent / "models" / "demo"


def find_checkpoint(name: str) -> Path:
    """The folder of a checkpoint's files.

    Raises:
        ModelLoadError: There is no such model.
    """
    if name == "demo":
        return DEMO_FOLDER
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    raise ModelLoadError(f"no folder {name!r}")
