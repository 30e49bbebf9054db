"""What the network computes: embeddings of prompts and images, and masks from both.

Importing this package costs nothing: a backend's libraries are imported by `load_segmenter`, not before.
"""

from __future__ import annotations

from samlite_ros.segmenter.load import load_segmenter
from samlite_ros.segmenter.options import SegmenterOptions

__all__ = ["SegmenterOptions", "load_segmenter"]
