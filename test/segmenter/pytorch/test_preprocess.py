"""A camera image on its way into the network."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from samlite_ros.segmenter.pytorch.preprocess import resize_floats, to_pixel_values, to_square


def test_preprocessing_equals_an_antialiased_bilinear_resize():
    random = np.random.default_rng(1)
    for height, width, size in [(480, 640, 192), (1080, 1920, 192), (300, 400, 1008), (192, 192, 192)]:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        got = to_pixel_values(image, size, torch.device("cpu"), torch.float32)[0] * 0.5 + 0.5
        exact = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        wanted = F.interpolate(exact, size=(size, size), mode="bilinear", antialias=True)[0]
        assert got.shape == wanted.shape == (3, size, size)
        assert float((got - wanted).abs().max()) * 255 <= 1.01


def test_a_device_without_bytes_kernels_gives_the_same_square():
    random = np.random.default_rng(2)
    for height, width, size in [(480, 640, 192), (1080, 1920, 192), (300, 400, 504)]:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        wanted = to_square(image, size, torch.device("cpu")).float()
        found = resize_floats(torch.from_numpy(image).permute(2, 0, 1)[None], size)
        difference = (found - wanted).abs()
        assert float(difference.max()) <= 1 and float(difference.mean()) < 0.25  # bytes are rounded after each axis


def test_preprocessing_takes_read_only_and_reversed_images():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    plain = to_pixel_values(image.copy(), 32, torch.device("cpu"), torch.float32)
    frozen = image.copy()
    frozen.flags.writeable = False
    reversed_twice = image[..., ::-1].copy()[..., ::-1]
    for same in (frozen, reversed_twice):
        assert torch.equal(to_pixel_values(same, 32, torch.device("cpu"), torch.float32), plain)
