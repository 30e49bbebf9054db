"""The provider that is asked for is taken, or nothing; the best one where none is."""

from __future__ import annotations

import pytest

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.exported.manifest import read_manifest
from samlite_ros.segmenter.onnx.providers import Target, choose_targets, provider_options

JETSON = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
PC = ["AzureExecutionProvider", "CPUExecutionProvider"]
INTEL = ["OpenVINOExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("provider", "device", "available", "wanted"),
    [
        ("auto", "auto", JETSON, [("tensorrt", 0), ("cuda", 0), ("cpu", 0)]),
        ("auto", "cuda:1", JETSON, [("tensorrt", 1), ("cuda", 1)]),
        ("cuda", "auto", JETSON, [("cuda", 0)]),
        ("auto", "cpu", JETSON, [("cpu", 0)]),
        ("auto", "auto", PC, [("cpu", 0)]),
        ("auto", "cpu", INTEL, [("openvino", 0), ("cpu", 0)]),
    ],
)
def test_best_first(provider, device, available, wanted):
    assert choose_targets(provider, device, available) == [Target(*w) for w in wanted]


@pytest.mark.parametrize(
    ("provider", "device", "available", "words"),
    [
        ("cuda", "auto", PC, "provider 'cuda' on device 'auto' was asked for, but this onnxruntime has cpu"),
        ("auto", "cuda", PC, "device 'cuda' was asked for, but this onnxruntime has cpu"),
        ("cpu", "cuda", JETSON, "none of its providers computes there"),
        ("rocm", "auto", PC, "provider 'rocm' does not exist: 'auto', 'tensorrt'"),
        ("auto", "gpu", PC, "device 'gpu' does not exist"),
    ],
)
def test_nothing_is_taken_instead(provider, device, available, words):
    with pytest.raises(ModelLoadError, match=words):
        choose_targets(provider, device, available)


def test_tensorrts_engines_know_every_size_and_are_strongly_typed(demo_export, tmp_path):
    manifest = read_manifest(demo_export)
    options = provider_options(Target("tensorrt", 1), manifest.graph("masks"), manifest, tmp_path, 0)
    assert (
        options["trt_profile_min_shapes"] == "encoded:1x144x64,features:1x1x64,mask:1x1,queries:1x16x64,rows:1,kept:1x1"
    )
    assert (
        "mask:16x32" in options["trt_profile_max_shapes"]
        and "kept:16x16" in options["trt_profile_max_shapes"]
        and "queries:4x16x64" in options["trt_profile_opt_shapes"]
    )
    assert options["device_id"] == "1" and options["trt_engine_cache_path"] == str(tmp_path)
    assert not any("fp16" in name or "int8" in name for name in options)
    image = provider_options(Target("tensorrt", 0), manifest.graph("image_0"), manifest, tmp_path, 0)
    assert not any(name.startswith("trt_profile") for name in image)
