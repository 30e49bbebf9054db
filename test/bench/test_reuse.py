"""Both sides of the benchmark compute the same, as often as they should, and the figures follow from the times."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prompts import prompts
from small_networks import Shape, make_frame, make_segmenter

from samlite_ros.bench.late_in_pass import late_phrase
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.peers import Peers
from samlite_ros.bench.reuse import Sides, figures_of_frames, figures_of_late_query
from samlite_ros.bench.timing import Sample
from samlite_ros.bench.workload import phrases, segmenter_options
from samlite_ros.errors import SamliteError
from samlite_ros.types import DecodeOptions

KEPT = 3


@pytest.fixture(scope="module")
def segmenter():
    torch.set_num_threads(1)
    return make_segmenter(Shape(), seed=2)


@pytest.fixture(scope="module")
def sides(segmenter):
    return Sides(segmenter, segmenter.backend.checkpoint, make_frame(1), KEPT)


@pytest.mark.parametrize(
    ("side", "image", "text"), [("whole model", 4, 4), ("shared image", 1, 4), ("ours", 1, 0), ("image", 1, 0)]
)
def test_each_way_runs_the_encoders_as_often_as_it_should(sides, passes, side, image, text):
    calls = sides.constant_phrases(4)
    passes.clear()
    calls[side]()
    assert (passes["image"], passes["text"]) == (image, text)


def test_late_query_is_a_new_phrase_without_an_image_pass(sides, passes):
    calls = sides.late_query()
    for _ in range(2):
        passes.clear()
        calls["late query"]()
        assert (passes["image"], passes["text"], passes["decode"]) == (0, 1, 1)
    passes.clear()
    calls["full pass"]()
    assert (passes["image"], passes["text"], passes["decode"]) == (1, 1, 1)


@pytest.mark.parametrize("way", ["whole_model", "shared_image"])
def test_peers_find_what_we_find(segmenter, way):
    frame, asked = make_frame(3, 96, 128), phrases(3)
    every = Shape().queries  # random scores lie close together: which of them are best is not what is tested
    theirs = getattr(Peers(segmenter.backend.checkpoint, every), way)(frame, asked)
    options = [DecodeOptions(0.0, every)] * len(asked)
    ours = segmenter.segment(segmenter.embed_image(frame), segmenter.embed_prompts(prompts(*asked)), options)
    for peer, own in zip(theirs, ours, strict=True):
        boxes = peer.boxes_xyxy.clip(0, [128, 96, 128, 96])
        a, b = _order(boxes), _order(own.boxes_xyxy)
        np.testing.assert_allclose(boxes[a], own.boxes_xyxy[b], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(peer.scores[a], own.scores[b], rtol=1e-4)
        for i, k in zip(a, b, strict=True):
            # Theirs squash before up-sampling and ours after: borders differ by parts of a low-resolution cell.
            assert (peer.masks[i] != own.masks[k].full()).mean() < 0.05


def _order(boxes):
    return np.argsort(boxes @ [1.0, 1.37, 2.11, 3.3])


def test_figures_follow_from_the_times_of_each_round():
    times = {"whole model": 88.0, "shared image": 30.0, "ours": 12.6, "image": 4.0, "decode": 1.0, "text": 0.5}
    samples = {name: [Sample(t, 2 * t), Sample(3 * t, 2 * t)] for name, t in times.items()}
    found = {f.name: f.value for f in figures_of_frames("net, 8 phrases", 8, samples)}
    assert found["reuse/net, 8 phrases/ours"] == pytest.approx(25.2)
    assert found["reuse by CPU time/net, 8 phrases/ours"] == pytest.approx(25.2)
    assert found["reuse by CPU time/net, 8 phrases/bound"] == pytest.approx(24.0)
    assert found["reuse/net, 8 phrases/gain"] == pytest.approx(88 / 12.6)
    assert found["reuse/net, 8 phrases/bound of gain"] == pytest.approx(8 * 5.5 / 12)
    assert found["reuse/net, 8 phrases/overhead"] == pytest.approx(5.0)
    assert found["parts/net, 8 phrases/decode"] == pytest.approx(2000.0)


def test_late_query_is_compared_with_the_full_pass_of_its_round():
    samples = {"late query": [Sample(1.0, 1.0), Sample(2.0, 1.0)], "full pass": [Sample(8.0, 6.0), Sample(20.0, 6.0)]}
    found = {f.name: f.value for f in figures_of_late_query("net", samples, [0.5, 0.75])}
    assert found["late query/net/sooner"] == pytest.approx(9.0)
    assert found["late query/net/sooner by CPU time"] == pytest.approx(6.0)
    assert found["late query/net/longest wait in a pass"] == pytest.approx(0.625)


def test_late_phrases_differ():
    assert len({late_phrase(n) for n in range(2000)}) == 2000


@pytest.mark.parametrize("count", [0, 17])
def test_more_phrases_than_there_are_is_refused(count):
    with pytest.raises(SamliteError, match=str(count)):
        phrases(count)


def test_unknown_model_is_refused():
    with pytest.raises(SamliteError, match="s0-504"):
        segmenter_options("sam", BenchOptions())
