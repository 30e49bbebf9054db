"""The backend that computes with torch and transformers; both are imported when a network is loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from samlite_ros.pixels.host_memory import keep_freed_memory
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.pytorch.dependencies import check_dependencies

if TYPE_CHECKING:
    from samlite_ros.segmenter.pytorch.backend import TorchBackend


def load_backend(options: SegmenterOptions) -> TorchBackend:
    """Load a checkpoint; from then on the process keeps the memory that a pass gives back.

    Raises:
        ModelLoadError: torch or transformers are missing, or the checkpoint cannot be loaded.
    """
    check_dependencies()
    _wait_passively()
    keep_freed_memory()
    from samlite_ros.segmenter.pytorch.backend import TorchBackend

    return TorchBackend.load(options)


def _wait_passively() -> None:
    """Let torch's threads sleep at their barriers, instead of burning a core that another process needs.

    With more work than cores, spinning made one image take 775 ms instead of 11. OpenMP reads this once, when torch is
    first imported; a value that the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
