"""The square is torch's, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from samlite_ros.segmenter.exported.square import to_square

SIZES = [(480, 640, 192), (37, 91, 192), (192, 192, 192), (1080, 1920, 96), (333, 17, 96), (1, 5, 32), (2, 4000, 64)]


@pytest.mark.parametrize(("height", "width", "side"), SIZES)
def test_it_is_what_torch_resizes_to(height, width, side):
    image = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    wanted = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    np.testing.assert_array_equal(to_square(image, side), wanted.numpy())


def test_views_are_resized_as_their_copies():
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    view = image[::-1, ::2]
    np.testing.assert_array_equal(to_square(view, 32), to_square(view.copy(), 32))
