"""What counts as a change of a patch, and what does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from samlite_ros.segmenter.pytorch.changed_patches import cells_of, changed_patches, measure_exposure

SIDE, PATCH = 12, 16


def picture(seed=0):
    """Something with structure at every scale, uint8 (192, 192, 3)."""
    random = np.random.default_rng(seed)
    sizes = (3, 12, 48, 192)
    parts = [cv2.resize(random.uniform(-50, 50, (s, s, 3)), (192, 192), interpolation=cv2.INTER_CUBIC) for s in sizes]
    return (120 + sum(parts) / 2).clip(0, 255).astype(np.uint8)


def cells(image):
    return cells_of(torch.from_numpy(image).permute(2, 0, 1)[None], SIDE)


def changed(now, before):
    light = measure_exposure(cells(now), cells(before))
    return changed_patches(light.undo(cells(now)), cells(before), SIDE)


def noisy(image, seed):
    return (image + np.random.default_rng(seed).normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)


def jpeg(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)


SAME = {
    "nothing": lambda image: image,
    "sensor noise": lambda image: noisy(image, 3),
    "a gain of 1.1": lambda image: (image * 1.1).clip(0, 255).astype(np.uint8),
    "a gain of 0.8": lambda image: (image * 0.8).astype(np.uint8),
    "an offset": lambda image: (image.astype(int) + 12).clip(0, 255).astype(np.uint8),
    "white balance": lambda image: (image * (1.1, 1.0, 0.9)).clip(0, 255).astype(np.uint8),
    "compression": lambda image: jpeg(noisy(image, 4), 80),
    "all of it": lambda image: jpeg(noisy((image * 0.9).astype(np.uint8), 5), 80),
}


@pytest.mark.parametrize("what", SAME)
def test_light_noise_and_compression_are_no_change(what):
    before = noisy(picture(), 1)
    assert changed(SAME[what](picture()), before).mean() <= 0.02


@pytest.mark.parametrize("what", SAME)
def test_a_thing_that_came_is_seen_beside_them(what):
    now = picture()
    now[70:90, 100:116] = (200, 40, 40)
    found = changed(SAME[what](now), noisy(picture(), 1))
    assert found[4:6, 6:8].all() and found[3:7, 5:9].all()  # and their neighbours
    assert found.mean() < 0.25


def test_a_thing_that_moves_by_two_pixels_is_seen():
    one, other = picture(), picture()
    one[64:96, 64:96], other[64:96, 66:98] = 90, 90
    found = changed(other, one)
    assert found[4:6, 4].all() and found[4:6, 6].all()


def test_a_camera_that_moves_changes_everything():
    assert changed(np.roll(picture(), 9, 1), picture()).mean() > 0.9
    assert changed(picture(1), picture()).mean() > 0.9


def test_flat_images_have_no_gain_of_their_own():
    flat = np.full((192, 192, 3), 100, np.uint8)
    light = measure_exposure(cells(flat), cells(flat))
    np.testing.assert_allclose(light.undo(cells(flat)), cells(flat), atol=0.5)
    black = np.zeros((192, 192, 3), np.uint8)
    assert np.isfinite(measure_exposure(cells(black), cells(black)).gain).all()


def test_patches_of_an_odd_side_are_one_cell():
    means = cells_of(torch.zeros(1, 3, 105, 105, dtype=torch.uint8), 7)
    assert means.shape == (7, 7, 3) and not changed_patches(means, means, 7).any()
