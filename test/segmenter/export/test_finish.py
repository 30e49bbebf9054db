"""A finer map's linear layers in fewer products: the same numbers, at the edges too."""

import pytest
import torch
from small_networks import Shape, make_model
from torch import nn

from samlite_ros.segmenter.export.finish import _FinerMap
from samlite_ros.segmenter.export.masks import in_quarters


@pytest.mark.parametrize(("factor", "inside", "products"), [(2.0, 16, 1), (2.0, 96, 2), (4.0, 32, 1)])
def test_biases_end_where_the_image_ends(factor, inside, products):
    model = make_model(Shape(), 1)
    scale = next(s for s in model.vision_encoder.neck.fpn_layers if s.scale_factor == factor)
    if factor == 2.0:
        scale.scale_layers[0] = nn.ConvTranspose2d(32, inside, 2, 2)
        scale.proj1 = nn.Conv2d(inside, 32, 1)
    scale.proj1.bias.data.fill_(3.0)
    convolution = model.mask_decoder.pixel_decoder.conv_layers[0]
    grid = torch.randn(1, 32, 6, 6)
    expected = convolution(scale(grid))
    finer = _FinerMap(scale, convolution, expected.shape[-1])
    assert len(finer.kernels) == products
    assert torch.allclose(finer(grid), in_quarters(expected), atol=1e-3)
