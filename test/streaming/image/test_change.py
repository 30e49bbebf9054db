"""Noticing change: blind to noise and flicker, awake to a small thing and to another scene."""

import numpy as np
import pytest
from painted_objects import TUNING

from samlite_ros.streaming.image.change import change_map, color_histogram, is_cut, is_still
from samlite_ros.streaming.image.work_image import prepare, work_size
from samlite_ros.types import Frame


def scene(seed=0, size=(480, 640)):
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 200, (size[0] // 16, size[1] // 16, 3))
    return np.repeat(np.repeat(coarse, 16, 0), 16, 1)[: size[0], : size[1]]


def shot(image, noise=4.0, gain=1.0, seed=1):
    rng = np.random.default_rng(seed)
    noisy = image * gain + rng.normal(0, noise, image.shape)
    return prepare(Frame(np.clip(noisy, 0, 255).astype(np.uint8), 1), TUNING)


@pytest.mark.parametrize(("noise", "gain"), [(0.0, 1.0), (4.6, 1.0), (4.6, 1.02), (4.6, 0.96), (8.0, 1.0)])
def test_noise_and_flicker_are_no_change(noise, gain):
    assert is_still(change_map(shot(scene(), noise), shot(scene(), noise, gain, seed=2), TUNING.change), TUNING.change)


@pytest.mark.parametrize("contrast", [-60, 40])
def test_a_thing_of_24_px_is_a_change_where_it_is(contrast):
    changed_image = scene()
    changed_image[200:224, 400:424] += contrast
    changed = change_map(shot(scene()), shot(changed_image, seed=2), TUNING.change)
    assert not is_still(changed, TUNING.change)
    rows, columns = np.nonzero(changed)
    assert rows.min() >= 200 / 4 - 2 and rows.max() <= 224 / 4 + 2
    assert columns.min() >= 400 / 4 - 2 and columns.max() <= 424 / 4 + 2


def test_a_moved_camera_is_a_change():
    assert not is_still(change_map(shot(scene()), shot(np.roll(scene(), 5, 1), seed=2), TUNING.change), TUNING.change)


def test_only_another_scene_is_a_cut():
    here, later = color_histogram(shot(scene())), color_histogram(shot(np.roll(scene(), 40, 1), seed=2))
    dark = color_histogram(shot(scene(9) * 0.3))
    assert not is_cut(here, later, TUNING.change) and is_cut(here, dark, TUNING.change)


@pytest.mark.parametrize(
    ("camera", "work"),
    [((480, 640), (240, 320)), ((1080, 1920), (180, 320)), ((640, 360), (320, 180)), ((100, 120), (100, 120))],
)
def test_the_longer_side_of_the_work_image_has_at_most_320_px(camera, work):
    assert work_size(camera, TUNING.image) == work


@pytest.mark.parametrize("height", range(1, 10))
@pytest.mark.parametrize("width", [1, 2, 3, 4, 9])
def test_images_of_a_few_pixels_are_compared_too(height, width):
    dark, bright = (np.full((height, width, 3), value, np.float64) for value in (60, 80))
    bright[0, 0] = 250
    for after in (dark, bright):
        changed = change_map(shot(dark, 0), shot(after, 0), TUNING.change)
        assert changed.dtype == bool and changed.ndim == 2
        assert not changed.any() or after is bright
