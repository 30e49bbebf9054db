"""Masks that leave the device as bits are those of probabilities, cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from prompts import prompts
from small_networks import Shape, make_frame, make_segmenter

from samlite_ros.segmenter.pytorch.mask_bits import cut_masks, pack, unpack
from samlite_ros.segmenter.pytorch.resample import resample
from samlite_ros.segmenter.upsample import upsample_mask
from samlite_ros.types import DecodeOptions

SIZES = [(480, 640), (37, 91), (30, 64), (1080, 1921), (7, 5)]


def blobs(count, cells, seed=0):
    """Logits of things here and there, some of them nowhere."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: cells[0], : cells[1]]
    found = []
    for number in range(count):
        cy, cx = random.uniform(0, cells[0]), random.uniform(0, cells[1])
        hill = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (0.02 * cells[0] * cells[1]))
        found.append(random.normal(size=cells) - 4.0 - 5.0 * (number % 4 == 3) + 8.0 * hill)
    return np.stack(found).astype(np.float32)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 64, 91])
def test_packing_is_numpys(width):
    inside = np.random.default_rng(width).random((3, 5, width)) < 0.4
    packed = pack(torch.from_numpy(inside)).numpy()
    np.testing.assert_array_equal(packed, np.packbits(inside, axis=2))
    for mask, wanted in zip(unpack(packed, (5, width)), inside, strict=True):
        np.testing.assert_array_equal(mask.full(), wanted)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cells", [(48, 48), (20, 36)])
def test_cut_masks_are_the_cut_of_masks_of_probabilities(cells, size):
    logits = blobs(6, cells)
    levels = [13, 64, 128, 128, 200, 255]
    for mask, level, values in zip(cut_masks(torch.from_numpy(logits), levels, size), levels, logits, strict=True):
        soft = replace(upsample_mask(values, size, resample), threshold=level)
        np.testing.assert_array_equal(replace(mask, threshold=level).full(), soft.full())
        assert mask.size == size and set(np.unique(mask.probability)) <= {0, 255}


def test_what_is_not_a_number_is_outside():
    logits = blobs(1, (20, 20))
    logits[0, 4:9] = np.nan
    (mask,) = cut_masks(torch.from_numpy(logits), [128], (40, 40))
    soft = upsample_mask(np.nan_to_num(logits[0], nan=-1e4), (40, 40), resample)
    np.testing.assert_array_equal(mask.full(), soft.full())
    assert cut_masks(torch.zeros(0, 4, 4), [], (40, 40)) == []


@pytest.fixture(scope="module")
def case():
    segmenter = make_segmenter(Shape(), seed=3, decode_batch=4)
    text = segmenter.embed_prompts(prompts("red ball", "cone", "box"))
    return segmenter, segmenter.embed_image(make_frame(5)), text


@pytest.mark.parametrize("levels", [(128, 128, 128), (14, 200, 60)])
def test_a_device_cuts_where_no_probabilities_are_needed(case, levels, monkeypatch):
    segmenter, image, text = case
    soft = segmenter.segment(image, text, [DecodeOptions(0.0, 3)] * 3)
    monkeypatch.setattr(segmenter.backend, "cut_masks", segmenter.backend.cut_on_device)
    options = [DecodeOptions(0.0, 3, cut_level=levels[0]), *(DecodeOptions(0.0, 2, cut_level=v) for v in levels[1:])]
    for found, wanted, level in zip(segmenter.segment(image, text, options), soft, levels, strict=True):
        assert len(found.masks) == len(found.scores)
        for mask, other in zip(found.masks, wanted.masks, strict=False):
            np.testing.assert_array_equal(replace(mask, threshold=level).full(), replace(other, threshold=level).full())
            assert set(np.unique(mask.probability)) <= {0, 255}


@pytest.mark.parametrize("level", [0, 5, 13])
def test_it_does_not_where_they_are_or_where_the_cut_would_differ(case, level, monkeypatch):
    segmenter, image, text = case
    monkeypatch.setattr(segmenter.backend, "cut_masks", None)
    soft = segmenter.segment(image, text, [DecodeOptions(0.0, 3)] * 3)
    monkeypatch.setattr(segmenter.backend, "cut_masks", segmenter.backend.cut_on_device)
    found = segmenter.segment(image, text, [DecodeOptions(0.0, 3, cut_level=level)] * 3)
    for one, other in zip(found, soft, strict=True):
        for mask, wanted in zip(one.masks, other.masks, strict=True):
            np.testing.assert_array_equal(mask.probability, wanted.probability)


def test_the_host_keeps_its_own_way(case):
    assert case[0].backend.cut_masks is None
