"""The image encoder gives the reference's numbers without its padding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small_networks import Shape, make_config
from transformers import AutoModel

from samlite_ros.segmenter.pytorch import image_encoder
from samlite_ros.segmenter.pytorch.decoder import image_features
from samlite_ros.segmenter.pytorch.image_encoder import ImageEncoder
from samlite_ros.segmenter.pytorch.kept_tokens import KeptTokens
from samlite_ros.segmenter.pytorch.products import linear

PATCH, WINDOW = 14, 24
SIZES = range(336, 1009, PATCH)
SOME_SIZES = (336, 350, 364, 490, 504, 546, 658, 672, 686)


@pytest.fixture(scope="module")
def exact():
    """0, where the kernels of this CPU give a row the same bits whatever is computed beside it; else rounding."""
    weight, rows = torch.randn(2, 32, 32)
    query, key = torch.randn(2, 1, 2, 576, 16)
    same = torch.equal(F.linear(rows, weight)[:24], F.linear(rows[:24], weight))
    same &= torch.equal(
        F.scaled_dot_product_attention(query, key, key)[:, :, :264],
        F.scaled_dot_product_attention(query[:, :, :264], key, key),
    )
    return 0.0 if same else 1e-6


def make_encoder(size, attention="sdpa", dtype=torch.float32):
    """Biases are large: those of keys and values are all that attention sees of padding."""
    config = make_config(Shape(size, PATCH, 32, 2, WINDOW, (1,), 16)).vision_config
    config.backbone_config.pretrain_image_size = 336
    config._attn_implementation = attention
    encoder = AutoModel.from_config(config, attn_implementation=attention).eval()
    generator = torch.Generator().manual_seed(size)
    for name, parameter in encoder.named_parameters():
        spread = 0.5 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1.0)
    return encoder.to(dtype)


def make_pixels(size, dtype=torch.float32):
    return (2 * torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1)) - 1).to(dtype)


def outputs(features):
    return *features.maps, features.position_encoding


def assert_equal(found, wanted, tolerance):
    for one, other in zip(outputs(found), outputs(wanted), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        assert float((one - other).abs().max()) <= tolerance * float(other.abs().max())


@pytest.mark.parametrize(
    "size", [pytest.param(size, marks=() if size in SOME_SIZES else pytest.mark.acceptance) for size in SIZES]
)
@torch.inference_mode()
def test_every_size_is_the_references_to_the_bit(size, exact):
    encoder, pixels = make_encoder(size), make_pixels(size)
    assert_equal(ImageEncoder(encoder)(pixels), image_features(encoder(pixels)), exact)


@pytest.mark.parametrize(
    "size", [pytest.param(size, marks=() if size in (350, 504) else pytest.mark.acceptance) for size in SIZES]
)
@torch.inference_mode()
def test_plain_attention_is_the_references(size):
    encoder, pixels = make_encoder(size, "eager"), make_pixels(size)
    assert_equal(ImageEncoder(encoder)(pixels), image_features(encoder(pixels)), 1e-6)


@pytest.mark.parametrize("size", [350, 504, 672])
@torch.inference_mode()
def test_half_precision_is_the_references_to_the_bit(size, exact):
    encoder, pixels = make_encoder(size, dtype=torch.bfloat16), make_pixels(size, torch.bfloat16)
    assert_equal(ImageEncoder(encoder)(pixels), image_features(encoder(pixels)), exact and 1e-2)


@pytest.mark.parametrize("part", ["k_proj", "v_proj"])
@torch.inference_mode()
def test_a_mistake_in_padding_would_show(part):
    encoder, pixels = make_encoder(504), make_pixels(504)
    wanted = image_features(encoder(pixels))
    ours = ImageEncoder(encoder)
    bias = getattr(encoder.backbone.layers[0].attention, part).bias
    bias.add_(0.01)  # after padding was derived from it
    assert float((ours(pixels).maps[0] - image_features(encoder(pixels)).maps[0]).abs().max()) > 1e-4
    bias.sub_(0.01)
    assert_equal(ours(pixels), wanted, 1e-6)


@torch.inference_mode()
def test_no_token_of_padding_is_computed(monkeypatch):
    rows = []

    def counted(module, **options):
        product = linear(module, **options)
        return lambda values: (rows.append(values.numel() // 32), product(values))[1]

    monkeypatch.setattr(image_encoder, "linear", counted)
    ImageEncoder(make_encoder(504))(make_pixels(504))
    assert rows == [36 * 36] * 8


def mixed(encoder, before, pixels, changed):
    """What `update` is to give, the slow way: the reference's layers on tokens of which the others are those before.

    Args:
        encoder: The reference's.
        before: Each layer's input, and the last one's output, (1, side, side, C) each; brought up to date.
        pixels: The image.
        changed: bool (side, side).
    """
    backbone = encoder.backbone
    hidden = backbone.layer_norm(backbone.embeddings(pixels)).view(before[0].shape)
    for number, layer in enumerate((*backbone.layers, None)):
        before[number] = torch.where(changed[..., None], hidden, before[number])
        hidden = before[number] if layer is None else layer(before[number])
    return encoder.neck(hidden.permute(0, 3, 1, 2))[0][:-1]


@pytest.mark.parametrize(("size", "attention"), [(504, "sdpa"), (336, "sdpa"), (420, "eager"), (686, "sdpa")])
@torch.inference_mode()
def test_tokens_that_changed_are_computed_against_those_that_did_not(size, attention):
    encoder, generator = make_encoder(size, attention), torch.Generator().manual_seed(2)
    ours, side, pixels, kept = ImageEncoder(encoder), size // PATCH, make_pixels(size), KeptTokens()
    first = ours(pixels, keep=kept)
    before = [torch.zeros(1, side, side, 32) for _ in range(3)]
    mixed(encoder, before, pixels, torch.ones(side, side, dtype=torch.bool))
    saved = [m.clone() for m in first.maps]
    for box in ((0, 3, 5, 9), (side - 1, side, side - 1, side), (2, side - 2, 20, side)):
        changed = torch.zeros(side, side, dtype=torch.bool)
        changed[box[0] : box[1], box[2] : box[3]] = True
        pixels = pixels + torch.randn(pixels.shape, generator=generator)  # also where no change is told
        found, wanted = ours.update(pixels, kept, changed.flatten()), mixed(encoder, before, pixels, changed)
        for one, other in zip(found.maps, wanted, strict=True):
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)
    assert all(torch.equal(m, old) for m, old in zip(first.maps, saved, strict=True)), "an older image was changed"


@torch.inference_mode()
def test_all_and_no_tokens():
    encoder, kept = make_encoder(504), KeptTokens()
    ours = ImageEncoder(encoder)
    first = ours(make_pixels(504), keep=kept)
    other = -make_pixels(504)
    same = ours.update(other, kept, torch.zeros(36 * 36, dtype=torch.bool))
    assert same is not first and all(a is b for a, b in zip(same.maps, first.maps, strict=True))
    assert_equal(ours.update(other, kept, torch.ones(36 * 36, dtype=torch.bool)), ours(other), 1e-6)
    assert kept.size_bytes == 4 * 36 * 36 * 32 * (2 * 2 + 1)


@torch.inference_mode()
def test_nothing_can_be_updated_before_it_was_kept():
    with pytest.raises(ValueError, match="nothing was kept"):
        ImageEncoder(make_encoder(336)).update(make_pixels(336), KeptTokens(), torch.ones(576, dtype=torch.bool))
