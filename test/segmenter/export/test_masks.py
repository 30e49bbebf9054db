"""Up-sampling in quarters is up-sampling."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from samlite_ros.segmenter.export.masks import _Stage, in_order, in_quarters
from samlite_ros.segmenter.pytorch.shared_decode import upsampling_kernel


def test_quarters_are_the_fine_pixels_by_row_and_column():
    fine = torch.arange(16.0).view(1, 1, 4, 4)
    quarters = [[[0, 2], [8, 10]], [[1, 3], [9, 11]], [[4, 6], [12, 14]], [[5, 7], [13, 15]]]
    assert in_quarters(fine)[0, 0].tolist() == quarters
    assert torch.equal(in_order(in_quarters(fine).flatten(2), 1, 4), fine)


@pytest.mark.parametrize("scale", [0.02, -1.0, 0.0])
@pytest.mark.parametrize("side", [1, 2, 7])
def test_a_stage_in_quarters_is_a_transposed_convolution_to_every_edge(side, scale):
    torch.manual_seed(side)
    kernel, norm = upsampling_kernel(torch.randn(8, 8, 3, 3)), nn.GroupNorm(2, 8)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)
    norm.weight.data[3] = scale
    coarse, finer = torch.randn(3, 8, side, side), torch.randn(1, 8, 2 * side, 2 * side)
    expected = norm(F.conv_transpose2d(coarse, kernel, stride=2, padding=1) + finer).relu()
    stage = _Stage(kernel, norm, side)
    assert (stage.scale is None) == (scale > 0)
    found = in_order(stage(coarse, in_quarters(finer)), 8, 2 * side) * stage.left[:, None, None]
    assert torch.allclose(found, expected, atol=1e-5)
