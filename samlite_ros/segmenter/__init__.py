"""What the network computes: text and image embeddings, and masks from both.

Importing this package costs nothing: torch and transformers are imported by `load_segmenter`, not before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from samlite_ros.segmenter.dependencies import check_dependencies
from samlite_ros.segmenter.options import SegmenterOptions

if TYPE_CHECKING:
    from samlite_ros.segmenter.pytorch.segmenter import Sam3LiteTextSegmenter

__all__ = ["SegmenterOptions", "check_dependencies", "load_segmenter"]


def load_segmenter(options: SegmenterOptions | None = None) -> Sam3LiteTextSegmenter:
    """Load a checkpoint and build the segmenter around it.

    Args:
        options: Which weights, where and how; None = the embedded demo checkpoint.

    Raises:
        ModelLoadError: torch or transformers are missing, or the checkpoint cannot be loaded.
    """
    check_dependencies()
    _wait_passively()
    from samlite_ros.segmenter.pytorch.segmenter import Sam3LiteTextSegmenter

    return Sam3LiteTextSegmenter.load(options or SegmenterOptions())


def _wait_passively() -> None:
    """Let torch's threads sleep at their barriers, instead of burning a core that another process needs.

    With more work than cores, spinning made one image take 775 ms instead of 11. OpenMP reads this once, when torch is
    first imported; a value that the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
