"""The one place where a network is loaded."""

from __future__ import annotations

from collections.abc import Callable

from samlite_ros.segmenter import check_dependencies, load_segmenter
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.types import Segmenter

SegmenterFactory = Callable[[SegmenterOptions], Segmenter]
"""Builds a segmenter; raises ModelLoadError where it cannot."""


def load_network(options: SegmenterOptions) -> Segmenter:
    """The segmenter that the options name, with torch's threads as they say.

    Raises:
        ModelLoadError: torch or transformers are missing, or the checkpoint cannot be loaded.
    """
    check_dependencies()
    return load_segmenter(options)
