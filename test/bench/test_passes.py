"""Passes of the image encoder by dtype."""

import torch
from small_networks import Shape, make_checkpoint

from samlite_ros.bench.passes import by_dtype
from samlite_ros.segmenter.pytorch.backend import TorchBackend


def test_dtypes_are_compared_with_plain_float32_and_nothing_is_left_changed():
    backend, before = TorchBackend(make_checkpoint(Shape(64))), torch.get_float32_matmul_precision()
    found = {f.name.removeprefix("dtypes/small/"): f.value for f in by_dtype("small", backend, backend, 2)}
    assert {"float32", "float32 by oneDNN, CPU time", "auto, cpu, float32, CPU time"} <= set(found)
    assert min(found.values()) > 0 and torch.get_float32_matmul_precision() == before
