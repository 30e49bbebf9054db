"""Load an export for TensorRT."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.exported.backend import ExportedBackend
from samlite_ros.segmenter.exported.cache import cache_folder
from samlite_ros.segmenter.exported.find import find_export
from samlite_ros.segmenter.exported.manifest import Manifest
from samlite_ros.segmenter.exported.runtime import check_options
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.tensorrt.cuda import Cuda
from samlite_ros.segmenter.tensorrt.engines import EngineStore, Place
from samlite_ros.segmenter.tensorrt.runtime import TensorRtRuntime

OLDEST = 10
"""The first with int64 inputs and every operator of the graphs."""


def load(options: SegmenterOptions) -> ExportedBackend:
    """See `samlite_ros.segmenter.tensorrt.load_backend`."""
    found = re.fullmatch(r"auto|cuda(?::(\d+))?", options.device)
    if found is None:
        raise ModelLoadError(
            f"device {options.device!r} is no GPU: backend 'tensorrt' needs 'cuda', 'cuda:1' or 'auto'"
        )
    folder, manifest = find_export(options)
    check_options(folder, manifest, options)
    trt = _tensorrt()
    device = Cuda(int(found[1] or 0))
    gpu = device.gpu()
    store = EngineStore(trt, manifest, Place(folder, engine_folder(manifest, gpu), gpu))
    return ExportedBackend(folder, manifest, TensorRtRuntime(manifest, store, device, trt.__version__), options)


def engine_folder(manifest: Manifest, gpu: str) -> Path:
    """Where engines are kept: a folder for what an export is of, so that a newer one replaces it."""
    words = f"{manifest.source}-{manifest.image_size}-{manifest.precision}-{gpu}"
    return cache_folder() / "tensorrt" / re.sub(r"[^\w.-]", "_", words)


def _tensorrt() -> Any:
    """The module.

    Raises:
        ModelLoadError: It is broken or too old.
    """
    try:
        trt = import_module("tensorrt")
    except (ImportError, OSError) as error:  # libnvdla_compiler.so is missing in some containers of JetPack 7
        raise ModelLoadError(f"tensorrt cannot be imported: {error}; see docs/jetson.md") from error
    if int(trt.__version__.split(".")[0]) < OLDEST:
        raise ModelLoadError(f"TensorRT {trt.__version__} is too old, {OLDEST} is the oldest that runs these graphs")
    return trt
