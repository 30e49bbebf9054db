"""Masks are up-sampled only where they can be, and the result is that of up-sampling everything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from prompts import prompts
from small_networks import make_segmenter

from samlite_ros.segmenter.pytorch.preprocess import to_pixel_values
from samlite_ros.segmenter.pytorch.selection import Wanted, select_instances
from samlite_ros.segmenter.pytorch.shared_decode import Proposals
from samlite_ros.segmenter.pytorch.upsample import LEAST_PROBABILITY, to_probability, upsample_mask
from samlite_ros.types import DecodeOptions, Frame

SEEN = round(LEAST_PROBABILITY * 255)


def blob(random, height, width):
    """Logits that are high around one place and low elsewhere, like a mask."""
    y, x = np.mgrid[:height, :width]
    cy, cx = random.uniform(-1, height), random.uniform(-1, width)
    distance = np.hypot((y - cy) / random.uniform(0.5, height), (x - cx) / random.uniform(0.5, width))
    return torch.from_numpy((6 - 14 * distance + random.normal(size=(height, width))).astype(np.float32))


@pytest.mark.parametrize("size", [(480, 640), (37, 91), (1080, 1920), (20, 20), (7, 5)])
@pytest.mark.parametrize("cells", [(48, 48), (72, 72), (20, 20), (5, 9), (1, 3)])
def test_window_equals_full_up_sampling(cells, size):
    random = np.random.default_rng(sum(cells) + sum(size))
    for _ in range(5):
        logits = blob(random, *cells)
        mask = upsample_mask(logits, size)
        wanted = to_probability(F.interpolate(logits[None, None], size=size, mode="bilinear")[0, 0]).astype(int)
        painted = np.zeros(size, int)
        painted[mask.window] = mask.probability
        inside = np.zeros(size, bool)
        inside[mask.window] = True
        assert np.abs(painted - wanted)[inside].max(initial=0) <= 1
        assert wanted[~inside].max(initial=0) <= SEEN
        assert np.count_nonzero((painted >= 128) != (wanted >= 128)) <= 2  # float32 rounding at the very edge


def test_window_is_no_larger_than_needed():
    logits = torch.full((48, 48), -9.0)
    logits[20:24, 30:35] = 5.0
    mask = upsample_mask(logits, (480, 480))
    assert (mask.y0, mask.x0) == (195, 295)
    assert mask.probability.shape == (50, 60)


@pytest.mark.parametrize("value", [-9.0, 9.0, -1e4, 1e4])
def test_uniform_masks(value):
    mask = upsample_mask(torch.full((8, 8), value), (30, 40))
    assert mask.area == (30 * 40 if value > 0 else 0)
    assert mask.full().shape == (30, 40)


class FixedDecoder:
    """Proposes fixed scores for one phrase, and draws one cell per mask."""

    def __init__(self, scores):
        self.scores = torch.tensor([scores])
        self.drawn = []

    def propose(self, _image, text, _on_step):
        boxes = torch.tensor([-0.1, 0.25, 0.5, 1.2]).expand(1, self.scores.shape[1], 4)
        return Proposals(self.scores, torch.tensor([0.9]), boxes, self.scores, self.scores, text)

    def masks(self, _image, _proposals, kept, _on_step):
        self.drawn += kept[0].tolist()
        logits = torch.full((len(kept[0]), 6, 6), -9.0)
        logits[:, 3, 3] = 5.0
        return [logits]


def select(decoder, options=None):
    wanted = Wanted(["ball"], [options or DecodeOptions()], (60, 120))
    return select_instances(decoder, None, None, wanted).results[0]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (DecodeOptions(0.5, 100), [0.9, 0.7, 0.5]),
        (DecodeOptions(0.0, 2), [0.9, 0.7]),
        (DecodeOptions(0.0, 100), [0.9, 0.7, 0.5, 0.2]),
        (DecodeOptions(0.95, 100), []),
        (DecodeOptions(0.5, 0), []),
    ],
)
def test_options_are_honoured_best_first(options, kept):
    decoder = FixedDecoder([0.5, 0.9, 0.2, 0.7])
    result = select(decoder, options)
    np.testing.assert_allclose(result.scores, kept)
    assert len(result.masks) == len(result.boxes_xyxy) == len(kept)
    assert decoder.drawn == [1, 3, 0, 2][: len(kept)]
    assert result.presence == pytest.approx(0.9)


def test_boxes_are_pixels_clipped_to_the_image():
    result = select(FixedDecoder([0.9]))
    np.testing.assert_allclose(result.boxes_xyxy, [[0, 15, 60, 60]])


def test_preprocessing_equals_an_antialiased_bilinear_resize():
    random = np.random.default_rng(1)
    for height, width, size in [(480, 640, 192), (1080, 1920, 192), (300, 400, 1008), (192, 192, 192)]:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        got = to_pixel_values(image, size, torch.device("cpu"), torch.float32)[0] * 0.5 + 0.5
        exact = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        wanted = F.interpolate(exact, size=(size, size), mode="bilinear", antialias=True)[0]
        assert got.shape == wanted.shape == (3, size, size)
        assert float((got - wanted).abs().max()) * 255 <= 1.01


@pytest.mark.parametrize("size", [(1, 1), (3, 4000), (2000, 2)])
def test_images_of_any_shape_are_segmented(size):
    segmenter = make_segmenter()
    image = segmenter.embed_image(Frame(np.full((*size, 3), 200, np.uint8), 0))
    (result,) = segmenter.segment(image, segmenter.embed_prompts(prompts("ball")), [DecodeOptions(0.0)])
    assert len(result.masks) == len(result.scores) > 0
    assert all(mask.full().shape == size for mask in result.masks)


def test_preprocessing_takes_read_only_and_reversed_images():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    plain = to_pixel_values(image.copy(), 32, torch.device("cpu"), torch.float32)
    frozen = image.copy()
    frozen.flags.writeable = False
    reversed_twice = image[..., ::-1].copy()[..., ::-1]
    for same in (frozen, reversed_twice):
        assert torch.equal(to_pixel_values(same, 32, torch.device("cpu"), torch.float32), plain)
