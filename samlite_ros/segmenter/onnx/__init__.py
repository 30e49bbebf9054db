"""The backend that runs an export with ONNX Runtime; needs neither torch nor transformers."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.options import SegmenterOptions

if TYPE_CHECKING:
    from samlite_ros.segmenter.exported.backend import ExportedBackend

LIBRARIES = ("onnxruntime", "tokenizers", "safetensors")


def load_backend(options: SegmenterOptions) -> ExportedBackend:
    """Load an export.

    Raises:
        ModelLoadError: One of `LIBRARIES` is missing, the export is broken, or no provider can run it.
    """
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise ModelLoadError(
            f"{', '.join(missing)} not installed. Type: {sys.executable} -m pip install {' '.join(missing)}"
            " (on a Jetson see docs/jetson.md: PyPI has no onnxruntime for its GPU)"
        )
    from samlite_ros.segmenter.onnx.load import load

    return load(options)
