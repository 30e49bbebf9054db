"""The network's parts on a device."""

from __future__ import annotations

import pytest
import torch
from small_networks import Shape, make_segmenter

from samlite_ros.bench import gpu
from samlite_ros.bench.figures import load_report
from samlite_ros.bench.gpu import NetworkParts, count_flop, peak_flop_s
from samlite_ros.bench.options import BenchOptions, SkippedPart
from samlite_ros.commands.cli import main

KEPT = 3


@pytest.fixture(scope="module")
def segmenter():
    torch.set_num_threads(1)
    return make_segmenter(Shape(), seed=2)


def test_parts_on_a_device_are_those_of_the_network(segmenter, passes):
    calls = NetworkParts(segmenter.backend, KEPT).calls((1, 2), lambda call: call)
    passes.clear()
    with torch.inference_mode():
        for call in calls.values():
            call()
    assert list(calls) == [
        "input",
        "input, resized on the CPU",
        "image",
        "text, 1",
        "decode, 1",
        "text, 2",
        "decode, 2",
        "masks to the host, 1",
        "masks to the host as bits, 1",
        "masks to the host, 2",
        "masks to the host as bits, 2",
    ]
    assert passes == {"image": 1, "text": 2, "decode": 2}
    assert 0 < count_flop(calls["decode, 1"]) < count_flop(calls["decode, 2"])


def test_compiled_parts_run_as_the_eager_ones(segmenter):
    """Traced without a backend: what torch cannot trace, or traces wrongly, shows here too."""
    parts = NetworkParts(segmenter.backend, KEPT)
    traced = parts.calls((2,), lambda call: torch.compile(call, backend="eager"))
    eager = parts.calls((2,), lambda call: call)
    with torch.inference_mode():
        for _ in range(2):
            found, wanted = traced["decode, 2"](), eager["decode, 2"]()
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_peak_is_a_rate():
    assert peak_flop_s(torch.device("cpu"), side=64) > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_gpu_part_says_that_there_is_none():
    with pytest.raises(SkippedPart, match="no CUDA device"):
        gpu.run(BenchOptions(), lambda step: None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_what_cannot_run_here_is_named(tmp_path, capsys):
    assert main(["bench", "gpu", "--out", str(tmp_path)]) == 0
    assert "gpu was not measured: torch" in capsys.readouterr().out
    assert "no CUDA device" in load_report(tmp_path / "bench.json").conditions["skipped"]["gpu"]
