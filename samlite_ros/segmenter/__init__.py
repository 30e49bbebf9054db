"""What the network computes: text and image embeddings, and masks from both.

Importing this package costs nothing: torch and transformers are imported by `load_segmenter`, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from samlite_ros.segmenter.dependencies import check_dependencies
from samlite_ros.segmenter.options import SegmenterOptions

if TYPE_CHECKING:
    from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter

__all__ = ["SegmenterOptions", "check_dependencies", "load_segmenter"]


def load_segmenter(options: SegmenterOptions | None = None) -> Sam3LiteTextSegmenter:
    """Load a checkpoint and build the segmenter around it.

    Args:
        options: Which weights, where and how; None = the embedded demo checkpoint.

    Raises:
        ModelLoadError: torch or transformers are missing, or the checkpoint cannot be loaded.
    """
    check_dependencies()
    from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter

    return Sam3LiteTextSegmenter.load(options or SegmenterOptions())
