"""The shared decoder against the reference's."""

from __future__ import annotations

import pytest
import torch
from shared_decoder import DecodeSides, figures_of_decode
from small_networks import Shape, make_segmenter

KEPT = 3


@pytest.fixture(scope="module")
def segmenter():
    torch.set_num_threads(1)
    return make_segmenter(Shape(), seed=2)


def test_decode_shares_out_what_is_done_once():
    samples = {
        "reference": [10.0],
        "once per image": [1.0],
        "scores and boxes": [4.0],
        "first masks": [3.0],
        "masks": [2.0],
    }
    found = {f.name.split("/")[-1]: f.value for f in figures_of_decode("net", 2, samples)}
    assert found == pytest.approx(
        {
            "reference": 5.0,
            "shared": 4.0,
            "shared, nothing kept": 2.5,
            "saved": 20.0,
            "saved, nothing kept": 50.0,
            "once per image": 2.0,
        }
    )


def test_shared_decoding_is_the_references(segmenter):
    sides = DecodeSides(segmenter.backend, 2, KEPT)
    for call in sides.sides().values():
        call()
    assert max(sides.largest_difference()) < 1e-4
