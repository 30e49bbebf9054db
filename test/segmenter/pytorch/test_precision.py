"""Which numbers a network computes in: by device, size, the CPU's flags and a measured product."""

from __future__ import annotations

import pytest
import torch
from small_networks import Shape, make_config
from transformers import Sam3LiteTextConfig

from samlite_ros.segmenter import SegmenterOptions
from samlite_ros.segmenter.pytorch import cpu_flags, precision
from samlite_ros.segmenter.pytorch.checkpoint import load_checkpoint
from samlite_ros.segmenter.pytorch.image_encoder import ImageEncoder
from samlite_ros.segmenter.pytorch.precision import Precision, choose_precision, in_words

CPU = torch.device("cpu")
SMALL, LARGE = make_config(Shape()), Sam3LiteTextConfig()
PLAIN, MEDIUM, BFLOAT16 = Precision(torch.float32), Precision(torch.float32, "medium"), Precision(torch.bfloat16)


@pytest.fixture
def measured(monkeypatch):
    """A CPU whose products take as long as it is told, on a clock of their own; and how exact they are."""
    precision._gains.cache_clear()
    now = [0.0]
    monkeypatch.setattr(precision.time, "perf_counter", lambda: now[0])

    def let(times, errors=None):
        def call(choice):
            now[0] += times[choice]
            return torch.ones(4) + (errors or {}).get(choice, 0.0)

        monkeypatch.setattr(precision, "products", lambda *_: {c: lambda c=c: call(c) for c in times})

    yield let
    precision._gains.cache_clear()


@pytest.mark.parametrize(
    ("name", "times", "dtype", "matmul"),
    [
        ("auto", {PLAIN: 4, MEDIUM: 2, BFLOAT16: 1}, torch.bfloat16, "highest"),
        ("auto", {PLAIN: 4, MEDIUM: 2, BFLOAT16: 3}, torch.float32, "medium"),
        ("auto", {PLAIN: 4, MEDIUM: 5, BFLOAT16: 40}, torch.float32, "highest"),
        ("auto", {PLAIN: 4, MEDIUM: 3.9, BFLOAT16: 3.5}, torch.float32, "highest"),
        ("auto", {PLAIN: 4, MEDIUM: 2}, torch.float32, "medium"),
        ("float32", {PLAIN: 4, MEDIUM: 2, BFLOAT16: 1}, torch.float32, "medium"),
        ("bfloat16", {}, torch.bfloat16, "highest"),
    ],
)
def test_a_large_network_takes_what_is_measured_to_be_fastest(measured, name, times, dtype, matmul):
    measured(times)
    found = choose_precision(name, CPU, LARGE)
    assert (found.dtype, found.matmul) == (dtype, matmul)
    assert bool(found.reason) == (name != "bfloat16")


def test_float32_is_never_computed_in_less(measured):
    measured({PLAIN: 4, MEDIUM: 1}, {MEDIUM: 1e-3})
    assert choose_precision("float32", CPU, LARGE).matmul == "highest"


@pytest.mark.parametrize("flags", [set(), {"avx512_bf16"}])
def test_a_small_network_stays_as_it_was(monkeypatch, flags):
    monkeypatch.setattr(cpu_flags, "cpu_flags", lambda: flags)
    found = choose_precision("auto", CPU, SMALL)
    assert (found.dtype, found.matmul) == (torch.float32, "highest")
    assert in_words(CPU, found) == "cpu, float32 (a small network)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor: 0\nflags\t\t: fpu avx512f avx512_bf16\nflags\t: other\n", True),
        ("flags : fpu amx_tile amx_bf16 avx512f\n", True),
        ("flags : fpu avx2 avx512f avx512_vnni\n", False),
        ("Features\t: fp asimd bf16 i8mm sve\n", True),
        ("Features : fp asimd asimddp\n", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_cpu_that_names_its_bfloat16_is_measured_in_it(monkeypatch, tmp_path, text, expected):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(cpu_flags, "CPUINFO", tmp_path / "cpuinfo")
    assert (BFLOAT16 in precision.products(8, 8)) == expected


def test_products_are_the_same_and_leave_the_setting_alone():
    before = torch.get_float32_matmul_precision()
    assert set(precision._gains(16, 32)) <= {PLAIN, MEDIUM, BFLOAT16}
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(("capability", "dtype"), [((7, 2), torch.float16), ((8, 7), torch.bfloat16)])
def test_dtype_on_cuda_is_what_the_gpu_has_in_hardware(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert choose_precision("auto", torch.device("cuda"), LARGE).dtype == dtype


def test_positions_of_patches_are_not_rounded():
    exact, rounded = (
        ImageEncoder(load_checkpoint(SegmenterOptions(device="cpu", image_size=304, dtype=dtype)).model.vision_encoder)
        for dtype in ("float32", "bfloat16")
    )
    for one, other in zip(exact.blocks, rounded.blocks, strict=True):
        for found, wanted in zip(other.attention.rotation, one.attention.rotation, strict=True):
            torch.testing.assert_close(found, wanted, atol=0, rtol=0)
