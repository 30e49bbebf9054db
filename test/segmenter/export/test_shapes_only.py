"""What is not computed while a network is traced changes nothing that is written, and is computed again afterwards."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from exports import export_small
from small_networks import Shape

from samlite_ros.segmenter.export import write
from samlite_ros.segmenter.export.shapes_only import shapes_only

PADDED = Shape(80, 8, 48, 4, 4, (1, 3), 64, 8, 17, 2, 3, 48, 4, 32)
A, B, BATCH = torch.ones(2, 3), torch.ones(3, 4), torch.ones(5, 2, 3)
IMAGE, KERNEL = torch.ones(1, 3, 6, 6), torch.ones(4, 3, 3, 3)
CALLS = {
    "mm": lambda: A @ B,
    "addmm": lambda: torch.nn.functional.linear(A, B.T.contiguous(), torch.ones(4)),
    "bmm": lambda: BATCH @ BATCH.transpose(1, 2),
    "baddbmm": lambda: torch.baddbmm(torch.ones(1), BATCH, BATCH.transpose(1, 2)),
    "convolution": lambda: torch.conv2d(IMAGE, KERNEL, torch.ones(4), stride=2, padding=1),
    "transposed": lambda: torch.conv_transpose2d(IMAGE, KERNEL.transpose(0, 1).contiguous(), stride=2),
}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_graphs_are_those_of_a_network_that_computed(precision, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_folded", lambda model: model)  # as traced: folding may hide what differs
    found = export_small(PADDED, tmp_path / "zeros", precision=precision, parity=False)
    monkeypatch.setattr(write, "shapes_only", nullcontext)
    computed = export_small(PADDED, tmp_path / "computed", precision=precision, parity=False)
    assert found.digest == computed.digest


@pytest.mark.parametrize("name", CALLS)
@torch.no_grad()
def test_products_give_zeros_of_the_right_shape_and_only_within(name):
    before = CALLS[name]()
    with shapes_only():
        inside = CALLS[name]()
    assert inside.shape == before.shape and inside.dtype == before.dtype and not inside.any() and before.all()
    assert torch.equal(CALLS[name](), before)


def test_they_compute_again_after_an_error():
    with pytest.raises(KeyError), shapes_only():
        raise KeyError
    assert (A @ B).all()
