"""Which backend `auto` is: an export where there is one that fits, else torch."""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from pathlib import Path

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.exported.find import export_of, is_stale
from samlite_ros.segmenter.exported.manifest import is_export, read_manifest
from samlite_ros.segmenter.exported.runtime import check_options
from samlite_ros.segmenter.options import SegmenterOptions

_LOG = logging.getLogger(__name__)
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg")
"""Of a PC, of Jetsons, of WSL."""


def choose_backend(options: SegmenterOptions) -> str:
    """The fastest backend that can run the model: its export by TensorRT, then by ONNX Runtime, then torch.

    A checkpoint is run by torch where its export does not fit the options, or would leave a GPU unused.

    Raises:
        ModelLoadError: None is installed; says what to type.
    """
    folder = export_of(options.model)
    runtime = _runtime(options)
    if is_export(Path(options.model).expanduser()):
        return runtime or "onnx"  # it says what is missing
    if runtime is None and find_spec("torch") is None:
        raise ModelLoadError(_nothing_installed(options.model))
    if folder is None or runtime is None:
        return "torch" if runtime is None or find_spec("torch") is not None else runtime
    try:
        manifest = read_manifest(folder)
        check_options(folder, manifest, options)
        unfit = f"{folder} is of an older checkpoint" if is_stale(options.model, manifest) else ""
    except ModelLoadError as error:
        unfit = str(error)
    if unfit and find_spec("torch") is not None:
        _LOG.warning("model %s is computed by torch: %s", options.model, unfit)
        return "torch"
    return runtime


def _runtime(options: SegmenterOptions) -> str | None:
    """Of exports; None = there is none, or only one that would leave a GPU unused which torch may use."""
    if options.device != "cpu" and options.provider == "auto" and find_spec("tensorrt") is not None and _has_gpu():
        return "tensorrt"
    if find_spec("onnxruntime") is None:
        return None
    wants_gpu = options.device.startswith("cuda") or (options.device == "auto" and _has_gpu())
    return "onnx" if not wants_gpu or find_spec("torch") is None or _onnxruntime_has_gpu() else None


def _nothing_installed(model: str) -> str:
    install = f"{sys.executable} -m pip install"
    return (
        f"nothing that could compute model {model!r} is installed. Type: {install} torch transformers, or, to run what"
        f" `samlite export` made on another machine: {install} onnxruntime tokenizers safetensors"
        " (on a Jetson see docs/jetson.md)"
    )


def _has_gpu() -> bool:
    return any(Path(device).exists() for device in _GPU_DEVICES)


def _onnxruntime_has_gpu() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
