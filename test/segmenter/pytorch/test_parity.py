"""Cached, shared and batched paths give the reference forward's numbers, and compute nothing twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from prompts import prompts
from small_networks import Shape, make_frame, make_segmenter

from samlite_ros.errors import Cancelled
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.contract import PromptEmbedding, Segmenter
from samlite_ros.segmenter.pytorch.decoder import TextFeatures, decode, join
from samlite_ros.segmenter.pytorch.preprocess import to_pixel_values
from samlite_ros.segmenter.pytorch.resample import to_probability
from samlite_ros.segmenter.pytorch.shared_decode import SharedDecoder
from samlite_ros.types import DecodeOptions

LONGEST = "a red ball and the blue box " * 4 + "or thing"
EVERYTHING = DecodeOptions(score_threshold=0.0, max_instances=1000)

CASES = {
    "square windows": (Shape(), ["the green boxes", "cone"], 1, (48, 64)),
    "padded windows": (
        Shape(80, 8, 48, 4, 4, (1, 3), 64, 8, 17, 2, 3, 48, 4, 32),
        ["a blue box", LONGEST, "object", "red ball", "xyzzy"],
        2,
        (37, 91),
    ),
    "wide, stretched positions": (
        Shape(112, 14, 64, 2, 3, (0,), 32, 2, 30, 3, 1, 64, 5, 77),
        ["yellow cylinder", "the green cone", "ball"],
        8,
        (120, 50),
    ),
}


@pytest.fixture(params=[*CASES, "demo"], scope="module")
def case(request):
    if request.param == "demo":
        segmenter = load_segmenter(SegmenterOptions(device="cpu", decode_batch=3))
        return segmenter, ["red ball", "blue cone", "object", "green box"], (480, 640)
    shape, phrases, batch, size = CASES[request.param]
    return make_segmenter(shape, seed=len(phrases), decode_batch=batch), phrases, size


def reference(segmenter, frame, phrase):
    """The whole model, once per phrase: what a wrapper without any reuse computes."""
    network = segmenter.backend.checkpoint
    tokens = network.tokenizer(phrase, padding="max_length", max_length=32, return_tensors="pt")
    pixels = to_pixel_values(frame.image, network.image_size, network.device, network.dtype)
    with torch.inference_mode():
        output = network.model(pixel_values=pixels, input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
    scores = output.pred_logits.sigmoid() * output.presence_logits.sigmoid()
    return scores[0], output.pred_boxes[0], output.pred_masks[0], float(output.presence_logits.sigmoid())


def assert_equal(found, wanted):
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def assert_logits_equal(found, wanted):
    """Sums of other order differ by parts of their terms, not of the sum: near 0 the largest logit is the measure.

    torch 2.4 with two threads: 1.02e-5, where the largest is 8.5.
    """
    torch.testing.assert_close(found, wanted, atol=1e-5 * max(float(wanted.abs().max()), 1.0), rtol=1e-5)


def decode_batched(segmenter, image, text):
    """The model's own forward, given shared features."""
    model, step = segmenter.backend.checkpoint.model, segmenter.options.decode_batch
    raw = [decode(model, image, join(text[i : i + step])) for i in range(0, len(text), step)]
    return tuple(torch.cat([getattr(r, name) for r in raw]) for name in ("scores", "boxes_xyxy", "mask_logits"))


def decode_shared(segmenter, image, text):
    """What `segment` does: shared parts once, in batches, here with every query kept."""
    decoder, step = SharedDecoder(segmenter.backend.checkpoint.model), segmenter.options.decode_batch
    shared, raw = decoder.prepare(image), []
    for i in range(0, len(text), step):
        found = decoder.propose(shared, join(text[i : i + step]))
        everything = [torch.arange(found.scores.shape[1])] * len(found.scores)
        raw.append((found.scores, found.boxes_xyxy, torch.stack(decoder.masks(shared, found, everything))))
    return tuple(torch.cat(parts) for parts in zip(*raw, strict=True))


@pytest.mark.parametrize("way", [decode_batched, decode_shared])
@torch.inference_mode()
def test_decoding_equals_the_reference(case, way):
    segmenter, phrases, size = case
    frame = make_frame(3, *size)
    segmenter.embed_prompts(prompts(*phrases[-1:]))  # so that the bank mixes old and new
    text, image = segmenter.embed_prompts(prompts(*phrases)), segmenter.embed_image(frame)
    scores, boxes, masks = way(segmenter, image.features, text.features)
    assert len(scores) == len(phrases)
    for i, phrase in enumerate(phrases):
        wanted = reference(segmenter, frame, phrase)
        assert_equal(scores[i], wanted[0])
        assert_equal(boxes[i], wanted[1])
        assert_logits_equal(masks[i], wanted[2])
    for output in (scores, boxes, masks):
        assert float(output.max() - output.min()) > 0.1, "outputs that hardly differ prove nothing"


def test_results_equal_the_reference_up_sampled(case):
    segmenter, phrases, (height, width) = case
    frame = make_frame(4, height, width)
    results = segmenter.segment(
        segmenter.embed_image(frame), segmenter.embed_prompts(prompts(*phrases)), [EVERYTHING] * len(phrases)
    )
    assert [r.prompt.display for r in results] == phrases
    for result in results:
        scores, boxes, logits, presence = reference(segmenter, frame, result.prompt.display)
        order = torch.argsort(scores, descending=True, stable=True)
        assert_equal(torch.from_numpy(result.scores), scores[order])
        assert result.presence == pytest.approx(presence, abs=1e-5)
        pixels = (boxes[order].clamp(0, 1) * torch.tensor([width, height, width, height])).numpy()
        np.testing.assert_allclose(result.boxes_xyxy, pixels, atol=1e-5 * max(width, height), rtol=1e-5)
        full = F.interpolate(logits[order][None], size=(height, width), mode="bilinear")[0]
        for mask, wanted in zip(result.masks, to_probability(full), strict=True):
            painted = np.zeros((height, width), np.uint8)
            painted[mask.window] = mask.probability
            differs = np.abs(painted.astype(int) - wanted)
            assert differs[wanted > 13].max(initial=0) <= 1  # below 5 % a pixel may be left out
            assert painted[wanted <= 13].max(initial=0) <= 14


def test_it_is_a_segmenter(case):
    assert isinstance(case[0], Segmenter)


def test_the_attention_mask_reaches_the_model():
    segmenter = make_segmenter()
    text, image = segmenter.embed_prompts(prompts("red ball")), segmenter.embed_image(make_frame())
    (features,) = text.features
    blind = TextFeatures(features.features, torch.ones_like(features.mask))
    seen, unseen = (
        segmenter.segment(image, PromptEmbedding(text.prompts, text.model_id, (told,)), [EVERYTHING])[0]
        for told in (features, blind)
    )
    assert np.abs(seen.scores - unseen.scores).max() > 1e-3


class Passes:
    """Counts rows through a module."""

    def __init__(self, module):
        self.calls = self.rows = 0
        module.register_forward_hook(self._count, with_kwargs=True)

    def _count(self, _module, args, kwargs, _output):
        first = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        self.calls, self.rows = self.calls + 1, self.rows + len(first)


def test_constant_phrases_pass_the_text_encoder_once():
    segmenter = make_segmenter()
    model = segmenter.backend.checkpoint.model
    text, vision = Passes(model.text_encoder), Passes(model.vision_encoder.neck.fpn_layers[0])
    phrases = ["red ball", "cone", "blue box", "object"]
    for stamp in range(100):
        image = segmenter.embed_image(make_frame(0, stamp_ns=stamp))
        segmenter.segment(image, segmenter.embed_prompts(prompts(*phrases)), [DecodeOptions()] * 4)
    assert text.rows == 4
    assert vision.calls == vision.rows == 100
    assert (segmenter.counts.prompts_encoded, segmenter.counts.image_passes) == (4, 100)
    assert segmenter.counts.prompts_decoded == 400


@pytest.mark.parametrize(("count", "batches"), [(1, 1), (3, 1), (9, 2)])
def test_phrases_on_one_frame_share_one_vision_pass(count, batches):
    segmenter = make_segmenter(decode_batch=4)
    vision, decoder = Passes(segmenter.backend.image_encoder), []
    segmenter.backend.checkpoint.model.dot_product_scoring.register_forward_hook(lambda *_: decoder.append(1))
    phrases = [f"thing {'a ' * i}" for i in range(count)]
    image = segmenter.embed_image(make_frame())
    segmenter.segment(image, segmenter.embed_prompts(prompts(*phrases)), [DecodeOptions()] * count)
    assert vision.calls == 1
    assert len(decoder) == batches


def test_blocks_call_back_in_order():
    segmenter = make_segmenter(Shape(layers=3))
    encoder, events = segmenter.backend.checkpoint.model.vision_encoder, []
    for index, layer in enumerate(encoder.backbone.layers):
        layer.layer_norm2.register_forward_hook(lambda *_, i=index: events.append(f"block {i}"))
    for index, layer in enumerate(encoder.neck.fpn_layers):
        layer.register_forward_hook(lambda *_, i=index: events.append(f"scale {i}"))
    segmenter.embed_image(make_frame(), lambda: events.append("called"))
    parts = [*(f"block {i}" for i in range(3)), *(f"scale {i}" for i in range(len(encoder.neck.fpn_layers) - 1))]
    assert len(parts) > 5 and events == [event for part in parts for event in ("called", part)]


def test_a_late_query_is_decoded_inside_a_running_pass():
    segmenter = make_segmenter()
    text, options = segmenter.embed_prompts(prompts("red ball")), [EVERYTHING]
    old, new = segmenter.embed_image(make_frame(1)), make_frame(2)
    late, encoder = [], segmenter.backend.checkpoint.model.vision_encoder
    interrupted = segmenter.embed_image(new, lambda: late.append(segmenter.segment(old, text, options)[0]))
    alone = segmenter.segment(old, text, options)[0]
    assert len(late) == len(encoder.backbone.layers) + len(encoder.neck.fpn_layers) - 1
    for result in late:
        np.testing.assert_allclose(result.scores, alone.scores, atol=1e-6)
    for found, wanted in zip(interrupted.features.maps, segmenter.embed_image(new).features.maps, strict=True):
        assert_equal(found, wanted)


def test_cancelling_ends_the_pass_alone():
    segmenter, calls = make_segmenter(), []

    def cancel():
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        segmenter.embed_image(make_frame(), cancel)
    segmenter.embed_image(make_frame())
    assert len(calls) == 2


def test_embeddings_of_another_model_are_refused():
    one, other = make_segmenter(), load_segmenter(SegmenterOptions(device="cpu"))
    image, text = one.embed_image(make_frame()), one.embed_prompts(prompts("ball"))
    with pytest.raises(ValueError, match="demo"):
        one.segment(image, other.embed_prompts(prompts("ball")), [DecodeOptions()])
    with pytest.raises(ValueError, match="as many options"):
        one.segment(image, text, [])
