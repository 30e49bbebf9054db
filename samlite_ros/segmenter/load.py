"""The one place where a network is loaded, by the name of its backend."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.backend import Backend
from samlite_ros.segmenter.choose import choose_backend
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.segmenter.options import SegmenterOptions

_SHORT_OF_MEMORY = ("failed to map segment", "annot allocate memory", "cannot create shared object")
"""What the dynamic linker says of a library that is there and whole."""
SegmenterFactory = Callable[[SegmenterOptions], Segmenter]
"""Builds a segmenter; raises ModelLoadError where it cannot."""

BACKENDS = {
    "torch": "samlite_ros.segmenter.pytorch:load_backend",
    "onnx": "samlite_ros.segmenter.onnx:load_backend",
    "tensorrt": "samlite_ros.segmenter.tensorrt:load_backend",
}
"""Name to module and function, `(SegmenterOptions) -> Backend`; imported when it is asked for, not before."""


def load_segmenter(options: SegmenterOptions | None = None) -> Segmenter:
    """Load a checkpoint and build the segmenter around it.

    Args:
        options: Which weights, where and how; None = the embedded demo checkpoint.

    Raises:
        ModelLoadError: There is no such backend, its libraries are missing, or the checkpoint cannot be loaded.
    """
    options = options or SegmenterOptions()
    try:
        backend = _load_backend(options)
        from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter  # needs safetensors: the backend looks for it
    except ImportError as error:  # of whatever this checkpoint needs beside the others, or a library that is broken
        raise ModelLoadError(f"model {options.model!r} cannot be loaded: {_words(error)}") from error
    return Sam3LiteTextSegmenter(backend, options)


def _words(error: ImportError) -> str:
    """What could not be imported, and the line to type."""
    reason = " ".join(str(error).split())[:400]
    told = re.search(r"pip install (?:-U |--upgrade )?[\"']?([\w.-]+)", str(error))  # transformers says which
    package = told[1] if told else (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) or told:
        return f"{reason}. Type: {sys.executable} -m pip install {package}"
    if any(words in reason for words in _SHORT_OF_MEMORY):
        return f"memory is too short for its libraries: {reason}. Free some, or raise the limit (ulimit -v)"
    broken = package if package and not package.startswith("_") else "torch transformers"
    return f"a library is missing or broken: {reason}. Type: {sys.executable} -m pip install --force-reinstall {broken}"


def _load_backend(options: SegmenterOptions) -> Backend:
    """The network alone, as the options' backend loads it.

    Raises:
        ModelLoadError: See `load_segmenter`.
    """
    name = choose_backend(options) if options.backend == "auto" else options.backend
    if name not in BACKENDS:
        raise ModelLoadError(f"backend {name!r} does not exist: 'auto', {', '.join(map(repr, BACKENDS))}")
    module, function = BACKENDS[name].split(":")
    backend: Backend = getattr(import_module(module), function)(options)
    return backend
