"""What is kept of a network's proposals, and that the masks of nothing else are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from prompts import prompts
from small_networks import make_segmenter

from samlite_ros.segmenter.backend import Proposals
from samlite_ros.segmenter.selection import Wanted, select_instances
from samlite_ros.segmenter.upsample import LEAST_PROBABILITY, resample
from samlite_ros.types import DecodeOptions, Frame


class FixedDecoder:
    """Proposes fixed scores for one phrase, and draws one cell per mask."""

    resample = staticmethod(resample)
    cut_masks = None

    def __init__(self, scores):
        self.scores = np.array([scores], np.float32)
        self.drawn = []

    def propose(self, _image, _prompts, _on_step):
        boxes = np.tile(np.array([-0.1, 0.25, 0.5, 1.2], np.float32), (1, self.scores.shape[1], 1))
        return Proposals(self.scores, np.array([0.9], np.float32), boxes)

    def draw_masks(self, _image, _proposals, kept, _on_step):
        self.drawn += kept[0].tolist()
        logits = np.full((len(kept[0]), 6, 6), -9.0, np.float32)
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


@pytest.mark.parametrize("score", [0.1, 0.3, 0.7, 0.9])
def test_a_score_as_high_as_the_threshold_passes_though_float32_rounds_it_down(score):
    assert len(select(FixedDecoder([score]), DecodeOptions(score)).scores) == 1


def test_masks_are_cut_on_the_device_only_above_what_probabilities_leave_out():
    decoder, asked = FixedDecoder([0.9]), []
    decoder.cut_masks = lambda *given: asked.append(given[3]) or [()]
    select(decoder, DecodeOptions(cut_level=round(255 * LEAST_PROBABILITY)))
    assert asked == [] and decoder.drawn == [0]
    select(decoder, DecodeOptions(cut_level=128))
    assert asked == [[128]]


def test_boxes_are_pixels_clipped_to_the_image():
    result = select(FixedDecoder([0.9]))
    np.testing.assert_allclose(result.boxes_xyxy, [[0, 15, 60, 60]])


@pytest.mark.parametrize("size", [(1, 1), (3, 4000), (2000, 2)])
def test_images_of_any_shape_are_segmented(size):
    segmenter = make_segmenter()
    image = segmenter.embed_image(Frame(np.full((*size, 3), 200, np.uint8), 0))
    (result,) = segmenter.segment(image, segmenter.embed_prompts(prompts("ball")), [DecodeOptions(0.0)])
    assert len(result.masks) == len(result.scores) > 0
    assert all(mask.full().shape == size for mask in result.masks)
