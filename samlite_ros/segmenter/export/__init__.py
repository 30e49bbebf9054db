"""From a checkpoint to an export: graphs, tokenizer, manifest, and the proof that they agree."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from samlite_ros.errors import ExportError

LIBRARIES = ("onnx", "onnxscript", "onnxruntime")


def check_libraries() -> None:
    """Check that what exporting needs is installed.

    Raises:
        ExportError: Something is missing; the message has the line to type.
    """
    missing = [name for name in ("torch", "transformers", *LIBRARIES) if find_spec(name) is None]
    if missing:
        raise ExportError(
            f"{', '.join(missing)} not installed. Type: {sys.executable} -m pip install {' '.join(missing)}"
        )
