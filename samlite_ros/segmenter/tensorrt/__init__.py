"""The backend that runs an export with TensorRT's own Python runtime, which JetPack brings along.

Never run on a TensorRT: written from its documentation, and tested with a stand-in that has the runtime's calls.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.options import SegmenterOptions

if TYPE_CHECKING:
    from samlite_ros.segmenter.exported.backend import ExportedBackend


def load_backend(options: SegmenterOptions) -> ExportedBackend:
    """Load an export, and build its engines where they are not there yet: that takes minutes.

    Raises:
        ModelLoadError: A library or the GPU is missing, the export is broken, or TensorRT cannot build it.
    """
    if find_spec("tokenizers") is None:
        raise ModelLoadError(f"tokenizers is not installed. Type: {sys.executable} -m pip install tokenizers")
    if find_spec("tensorrt") is None:
        raise ModelLoadError(
            "tensorrt is not installed: on a Jetson it is JetPack's (sudo apt install python3-libnvinfer), in a virtual"
            " environment only with --system-site-packages; see docs/jetson.md"
        )
    from samlite_ros.segmenter.tensorrt.load import load

    return load(options)
