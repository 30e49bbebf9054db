"""Long products by oneDNN are torch's, and only where they are longer there."""

from __future__ import annotations

import pytest
import torch
from prompts import prompts
from small_networks import Shape, make_frame, make_segmenter
from torch import nn

from samlite_ros.segmenter.pytorch import products
from samlite_ros.segmenter.pytorch.decoder import decode, join
from samlite_ros.segmenter.pytorch.shared_decode import SharedDecoder

needs_onednn = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")),
    reason="this torch has no oneDNN",
)


@pytest.fixture
def by_onednn(monkeypatch):
    """Every product is long, and oneDNN the faster; counts them."""
    counted = []
    compute = products._by_onednn
    monkeypatch.setattr(products, "onednn_pays", lambda: True)
    monkeypatch.setattr(products, "LONG_MACS", 1)
    monkeypatch.setattr(products, "_by_onednn", lambda *given: (counted.append(given[0].shape), compute(*given))[1])
    return counted


@needs_onednn
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("shape", [(7, 12), (2, 7, 12), (3, 2, 7, 12)])
@torch.inference_mode()
def test_the_numbers_are_torchs(by_onednn, shape, rectified):
    torch.manual_seed(3)
    module = nn.Linear(12, 5)
    for values in (
        torch.randn(shape),
        torch.randn(*shape[:-1], 24)[..., ::2],
        torch.randn(1, *shape[1:]).expand(shape),
    ):
        wanted = module(values).relu() if rectified else module(values)
        found = products.linear(module, rectified)(values)
        assert found.shape == wanted.shape
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)
    assert len(by_onednn) == 3


@needs_onednn
@torch.inference_mode()
def test_a_decoder_of_such_products_gives_the_references_numbers(by_onednn):
    segmenter = make_segmenter(Shape(), seed=3)
    image = segmenter.embed_image(make_frame(5)).features
    text = join(segmenter.embed_prompts(prompts("red ball", "a blue box", "object")).features)
    model = segmenter.backend.checkpoint.model
    decoder = SharedDecoder(model)
    found, wanted = decoder.propose(decoder.prepare(image), text), decode(model, image, text)
    assert len(by_onednn) > 20
    for name in ("scores", "presence", "boxes_xyxy"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), atol=1e-5, rtol=1e-5)


@needs_onednn
@pytest.mark.parametrize("error", [0.0, 1e-7])
@torch.inference_mode()
def test_to_the_bit_the_first_long_product_tells_whether_both_agree(by_onednn, monkeypatch, error):
    module, values, calls = nn.Linear(12, 5), torch.randn(7, 12), []

    def onednn(values, weight, bias, _after):
        calls.append(values)
        return products.F.linear(values, weight, bias) + error

    monkeypatch.setattr(products, "_by_onednn", onednn)
    product = products.linear(module, to_the_bit=True)
    for _ in range(3):
        assert torch.equal(product(values), module(values))
    assert len(calls) == (1 if error else 4)


@needs_onednn
def test_short_products_and_other_numbers_stay_with_torch(by_onednn, monkeypatch):
    monkeypatch.setattr(products, "LONG_MACS", 7 * 12 * 5)
    products.linear(nn.Linear(12, 5))(torch.randn(6, 12))
    products.linear(nn.Linear(12, 5).bfloat16())(torch.randn(7, 12, dtype=torch.bfloat16))
    assert not by_onednn
    products.linear(nn.Linear(12, 5))(torch.randn(7, 12))
    assert by_onednn == [(7, 12)]


@needs_onednn
@pytest.mark.parametrize(("took_s", "error", "pays"), [(1.0, 0.0, True), (2.0, 0.0, False), (1.0, 1e-3, False)])
def test_it_pays_where_it_is_measured_to_be_faster_and_as_exact(monkeypatch, took_s, error, pays):
    now = [0.0]

    def let(function, takes_s, by):
        def call(*given):
            now[0] += takes_s
            return function(*given) * by

        return call

    monkeypatch.setattr(products.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(products.F, "linear", let(products.F.linear, 2.5, 1.0))
    monkeypatch.setattr(products, "_by_onednn", let(products._by_onednn, took_s, 1 + error))
    products.onednn_pays.cache_clear()
    assert products.onednn_pays() == pays
    products.onednn_pays.cache_clear()


def test_an_operation_that_torch_refuses_is_not_used(monkeypatch):
    def refuse(*_):
        raise NotImplementedError("'mkldnn::_linear_pointwise' with these arguments")

    monkeypatch.setattr(products, "_by_onednn", refuse)
    products.onednn_pays.cache_clear()
    assert not products.onednn_pays()
    products.onednn_pays.cache_clear()
