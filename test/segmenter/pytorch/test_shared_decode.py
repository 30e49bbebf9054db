"""The shared decoder gives the reference decoder's numbers, and draws only what is kept."""

from __future__ import annotations

import pytest
import torch
from prompts import prompts
from small_networks import Shape, make_frame, make_segmenter
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from samlite_ros.segmenter.pytorch.decoder import TextFeatures, decode, join
from samlite_ros.segmenter.pytorch.shared_decode import SharedDecoder, upsampling_kernel

SHAPES = {
    "square windows": Shape(),
    "padded windows": Shape(80, 8, 48, 4, 4, (1, 3), 64, 8, 17, 2, 3, 48, 4, 32),
    "wide": Shape(112, 14, 64, 2, 3, (0,), 32, 2, 30, 3, 1, 64, 5, 77),
}
PHRASES = ["red ball", "a blue box", "object"]


@pytest.fixture(params=[(shape, way) for shape in SHAPES for way in ("auto", "eager")], scope="module", ids=str)
def case(request):
    shape, attention = request.param
    segmenter = make_segmenter(SHAPES[shape], seed=3, attention=attention)
    model = segmenter.backend.checkpoint.model
    image = segmenter.embed_image(make_frame(5)).features
    text = join(segmenter.embed_prompts(prompts(*PHRASES)).features)
    with torch.inference_mode():
        yield SharedDecoder(model), image, text, decode(model, image, text)


def test_scores_and_boxes_are_the_references(case):
    decoder, image, text, wanted = case
    found = decoder.propose(decoder.prepare(image), text)
    for name in ("scores", "presence", "boxes_xyxy"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), atol=1e-5, rtol=1e-5)


def test_masks_of_kept_queries_are_the_references(case):
    decoder, image, text, wanted = case
    shared = decoder.prepare(image)
    kept = [torch.tensor([4, 0]), torch.tensor([], dtype=torch.long), torch.arange(wanted.scores.shape[1])]
    found = decoder.masks(shared, decoder.propose(shared, text), kept)
    for row, chosen in enumerate(kept):
        torch.testing.assert_close(found[row], wanted.mask_logits[row, chosen], atol=1e-4, rtol=1e-4)


def test_another_phrase_may_be_decoded_between_any_two_steps(case):
    decoder, image, text, _ = case
    shared = decoder.prepare(image)
    calm = decoder.propose(shared, text)
    kept = [torch.tensor([0, 1])] * len(PHRASES)
    steps = []

    def another():
        steps.append(decoder.propose(shared, TextFeatures(text.features[1:2], text.mask[1:2])).scores)

    found = decoder.propose(shared, text, another)
    masks = decoder.masks(shared, found, kept, another)
    assert len(steps) >= 3
    torch.testing.assert_close(found.scores, calm.scores, atol=0, rtol=0)
    for mask, expected in zip(masks, decoder.masks(shared, calm, kept), strict=True):
        torch.testing.assert_close(mask, expected, atol=0, rtol=0)


def test_nothing_is_drawn_where_nothing_is_kept(case):
    decoder, image, text, wanted = case
    shared = decoder.prepare(image)
    found = decoder.masks(shared, decoder.propose(shared, text), [torch.tensor([], dtype=torch.long)] * len(PHRASES))
    assert [m.shape for m in found] == [(0, *wanted.mask_logits.shape[-2:])] * len(PHRASES)
    assert shared.convolved is None


def test_what_knows_no_prompt_is_computed_once(case):
    decoder, image, text, _ = case
    shared, one = decoder.prepare(image), TextFeatures(text.features[:1], text.mask[:1])
    decoder = SharedDecoder(decoder._model)
    first, again, three = (flop(lambda t=t: decoder.propose(shared, t)) for t in (one, one, text))
    assert again < first, "the first queries attend to each other once"
    assert three < 3 * again, "the image's query is projected once for all prompts"


def flop(call):
    modes = torch.inference_mode(False), torch.no_grad()  # nothing is counted in inference mode before torch 2.5
    with modes[0], modes[1], FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def test_upsampling_kernel_equals_upsampling_and_convolution():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, padding=1, bias=False)
    coarse = torch.randn(2, 3, 4, 7)
    wanted = conv(nn.functional.interpolate(coarse, scale_factor=2, mode="nearest"))
    found = nn.functional.conv_transpose2d(coarse, upsampling_kernel(conv.weight), stride=2, padding=1)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
