"""Which checkpoint an export was made of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from samlite_ros.segmenter.exported.manifest import sha256_of
from samlite_ros.segmenter.files import weight_files


def checkpoint_digest(folder: Path) -> str:
    """Names a checkpoint: sha256 over its configuration and its weights.

    Raises:
        ModelLoadError: There are no weights.
    """
    hashes = [f"{path.name} {sha256_of(path)}" for path in (folder / "config.json", *weight_files(folder))]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
