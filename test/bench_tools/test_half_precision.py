"""Masks in half precision are of the same queries."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from half_precision import drawn_masks, measure_parity
from small_networks import Shape, make_checkpoint, make_frame, make_segmenter

from samlite_ros.segmenter.pytorch.backend import TorchBackend
from samlite_ros.segmenter.pytorch.precision import Precision


@pytest.fixture(scope="module")
def segmenter():
    torch.set_num_threads(1)
    return make_segmenter(Shape(), seed=2)


def test_equal_networks_draw_equal_masks(segmenter):
    found = {
        f.name: f.value for f in measure_parity("net", segmenter.backend, segmenter.backend, 2, lambda step: None, 2)
    }
    assert found["parity/net/mean IoU"] == found["parity/net/least IoU"] == 1.0
    assert found["parity/net/largest difference of scores"] == 0.0
    assert found["parity/net/masks"] > 0


def test_half_precision_draws_the_same_queries(segmenter):
    checkpoint = make_checkpoint(Shape(), seed=2)
    checkpoint.model.to(torch.bfloat16)
    rough = TorchBackend(replace(checkpoint, precision=Precision(torch.bfloat16)))
    wanted = drawn_masks(segmenter.backend, make_frame(1), 2)
    found = drawn_masks(rough, make_frame(1), 2, wanted)
    assert [(m.phrase, m.query) for m in found] == [(m.phrase, m.query) for m in wanted]
    assert any(a.score != b.score for a, b in zip(wanted, found, strict=True))
