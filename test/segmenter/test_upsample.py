"""Masks are up-sampled only where they can be, and the result is that of up-sampling everything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from samlite_ros.segmenter import upsample
from samlite_ros.segmenter.pytorch.resample import resample, to_probability
from samlite_ros.segmenter.upsample import LEAST_PROBABILITY, upsample_mask

SEEN = round(LEAST_PROBABILITY * 255)


def blob(random, height, width):
    """Logits that are high around one place and low elsewhere, like a mask."""
    y, x = np.mgrid[:height, :width]
    cy, cx = random.uniform(-1, height), random.uniform(-1, width)
    distance = np.hypot((y - cy) / random.uniform(0.5, height), (x - cx) / random.uniform(0.5, width))
    return torch.from_numpy((6 - 14 * distance + random.normal(size=(height, width))).astype(np.float32))


@pytest.mark.parametrize("way", [resample, upsample.resample], ids=["torch", "numpy"])
@pytest.mark.parametrize("size", [(480, 640), (37, 91), (1080, 1920), (20, 20), (7, 5)])
@pytest.mark.parametrize("cells", [(48, 48), (72, 72), (20, 20), (5, 9), (1, 3)])
def test_window_equals_full_up_sampling(cells, size, way):
    random = np.random.default_rng(sum(cells) + sum(size))
    for _ in range(5):
        logits = blob(random, *cells)
        mask = upsample_mask(logits.numpy(), size, way)
        wanted = to_probability(F.interpolate(logits[None, None], size=size, mode="bilinear")[0, 0]).astype(int)
        painted = np.zeros(size, int)
        painted[mask.window] = mask.probability
        inside = np.zeros(size, bool)
        inside[mask.window] = True
        assert np.abs(painted - wanted)[inside].max(initial=0) <= 1
        assert wanted[~inside].max(initial=0) <= SEEN
        assert np.count_nonzero((painted >= 128) != (wanted >= 128)) <= 2  # float32 rounding at the very edge


def test_window_is_no_larger_than_needed():
    logits = np.full((48, 48), -9.0, np.float32)
    logits[20:24, 30:35] = 5.0
    mask = upsample_mask(logits, (480, 480))
    assert (mask.y0, mask.x0) == (195, 295)
    assert mask.probability.shape == (50, 60)


@pytest.mark.parametrize("value", [-9.0, 9.0, -1e4, 1e4])
def test_uniform_masks(value):
    mask = upsample_mask(np.full((8, 8), value, np.float32), (30, 40))
    assert mask.area == (30 * 40 if value > 0 else 0)
    assert mask.full().shape == (30, 40)
