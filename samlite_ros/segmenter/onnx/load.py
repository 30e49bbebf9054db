"""Load an export for ONNX Runtime: the best provider that works, said where it is not the best that was there."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import onnxruntime as ort

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.exported.backend import ExportedBackend
from samlite_ros.segmenter.exported.cache import cache_folder
from samlite_ros.segmenter.exported.find import find_export
from samlite_ros.segmenter.exported.manifest import Manifest
from samlite_ros.segmenter.exported.runtime import SMALL_NETWORK_TOKENS, check_options
from samlite_ros.segmenter.onnx.providers import Target, choose_targets
from samlite_ros.segmenter.onnx.runtime import OnnxRuntime
from samlite_ros.segmenter.options import SegmenterOptions

_LOG = logging.getLogger(__name__)


def load(options: SegmenterOptions) -> ExportedBackend:
    """Load an export.

    Raises:
        ModelLoadError: There is no export, it is broken or does not fit the options, or no provider can run it.
    """
    folder, manifest = find_export(options)
    check_options(folder, manifest, options)
    return start(folder, manifest, options)


def start(folder: Path, manifest: Manifest, options: SegmenterOptions) -> ExportedBackend:
    """Load an export that is known to be whole.

    Raises:
        ModelLoadError: No provider that fits the options can run it.
    """
    targets = choose_targets(options.provider, options.device, ort.get_available_providers())
    return ExportedBackend(folder, manifest, _runtime(folder, manifest, targets, options), options)


def _runtime(folder: Path, manifest: Manifest, targets: list[Target], options: SegmenterOptions) -> OnnxRuntime:
    """With the first target that works; whatever is passed over is said."""
    for place, target in enumerate(targets):
        cache = cache_folder() / "onnxruntime" / f"{manifest.digest}-{ort.__version__}"
        if target.provider == "tensorrt":
            cache.mkdir(parents=True, exist_ok=True)
            _LOG.warning("TensorRT builds its engines the first time, this takes minutes: %s", cache)
        try:
            return OnnxRuntime(folder, manifest, target, cache, _threads(options, manifest))
        except ModelLoadError as error:
            if place == len(targets) - 1:
                raise
            _LOG.warning("provider %s is passed over for %s: %s", target.provider, targets[place + 1].provider, error)
    raise AssertionError("choose_targets returns at least one")


def _threads(options: SegmenterOptions, manifest: Manifest) -> int:
    if options.threads:
        return options.threads
    if manifest.image_tokens <= SMALL_NETWORK_TOKENS:
        return 1
    return len(os.sched_getaffinity(0))
