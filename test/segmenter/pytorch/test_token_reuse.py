"""Which passes compute some tokens only, how much memory is kept, and when it is given back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prompts import prompts
from small_networks import Shape, make_checkpoint, make_segmenter

from samlite_ros.errors import Cancelled
from samlite_ros.segmenter import SegmenterOptions
from samlite_ros.segmenter.pytorch.backend import TorchBackend
from samlite_ros.segmenter.pytorch.token_reuse import MOST_UNTESTED, REFRESH_PASSES
from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter
from samlite_ros.types import DecodeOptions, Frame

SIZE = 64
ENOUGH = 10**9


def segmenter(most_bytes=ENOUGH):
    backend = TorchBackend(make_checkpoint(Shape(SIZE)), True, most_bytes)
    return Sam3LiteTextSegmenter(backend, SegmenterOptions())


def scene(step=0, gain=1.0, shift=0):
    """A square that moves over a picture of a camera that stands, or is shifted."""
    y, x = np.mgrid[:SIZE, :SIZE]
    image = 100 + 60 * np.sin((x + shift) / 5) * np.cos(y / 7)
    image[8:16, step : step + 8] = 230
    return np.repeat((gain * image).clip(0, 255).astype(np.uint8)[..., None], 3, 2)


def frame(image, number=1, camera=""):
    return Frame(image, number, camera=camera)


def shares(network, images, camera=""):
    return [network.embed_image(frame(image, i + 1, camera)).reuse.computed for i, image in enumerate(images)]


def test_only_what_moves_is_computed_and_everything_now_and_then():
    found = shares(segmenter(), [scene(2 * i) for i in range(2 * REFRESH_PASSES)])
    whole = [i for i, share in enumerate(found) if share == 1.0]
    assert whole == [0, REFRESH_PASSES]
    assert all(0 < share < 0.5 for i, share in enumerate(found) if i not in whole)


def test_a_scene_that_stands_costs_nothing_and_answers_the_same():
    network = segmenter()
    first, second = (network.embed_image(frame(scene(), stamp)) for stamp in (1, 2))
    assert (first.reuse.computed, second.reuse.computed) == (1.0, 0.0)
    text, everything = network.embed_prompts(prompts("ball")), [DecodeOptions(0.0, 100)]
    one, other = (network.segment(image, text, everything)[0] for image in (first, second))
    np.testing.assert_array_equal(one.scores, other.scores)


def test_flicker_is_no_change_and_a_step_of_the_exposure_is_one():
    assert max(shares(segmenter(), [scene(), scene(gain=1.03), scene(gain=0.97)])[1:]) <= 0.05
    assert shares(segmenter(), [scene(), scene(gain=1.1)]) == [1.0, 1.0]


def test_tokens_are_computed_in_the_light_of_the_others():
    plain = make_segmenter(Shape(SIZE))
    network = segmenter()
    network.embed_image(frame(scene()))
    found = network.embed_image(frame(scene(8, gain=0.96))).features.maps[0]
    wanted, darker = (plain.embed_image(frame(scene(8, gain=g))).features.maps[0] for g in (1.0, 0.96))
    assert float((found - wanted).norm()) < 0.5 * float((found - darker).norm())


def test_a_camera_that_moves_is_compared_now_and_then_only(monkeypatch):
    from samlite_ros.segmenter.pytorch import token_reuse

    compared = []
    real = token_reuse.changed_patches
    monkeypatch.setattr(token_reuse, "changed_patches", lambda *a: compared.append(1) or real(*a))
    count = 4 * (MOST_UNTESTED + 1)
    network = segmenter()
    assert shares(network, [scene(shift=11 * i) for i in range(count)]) == [1.0] * count
    assert len(compared) <= 2 + count / (MOST_UNTESTED + 1)
    assert min(shares(network, [scene()] * (MOST_UNTESTED + 2))) == 0.0  # and it stands again


def test_a_pass_that_was_given_up_leaves_nothing_to_build_on():
    network = segmenter()
    network.embed_image(frame(scene()))

    def cancel():
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        network.embed_image(frame(scene(8), 2), cancel)
    assert shares(network, [scene(8), scene(8)]) == [1.0, 0.0]


def test_cameras_do_not_mix_and_share_a_bounded_memory():
    one = segmenter().embed_image(frame(scene())).reuse.kept_bytes
    assert one == segmenter().backend.image_encoder.kept_bytes > 0
    network = segmenter(2 * one + one // 2)
    for name in ("a", "b", "c"):
        assert shares(network, [scene(), scene()], name) == [1.0, 1.0 if name == "c" else 0.0]
    assert network.embed_image(frame(scene(), 3, "a")).reuse.kept_bytes == 2 * one
    network.forget("a")
    assert shares(network, [scene(), scene()], "c") == [1.0, 0.0]
    assert shares(network, [scene(), scene()], "a") == [1.0, 1.0]


def test_lack_of_memory_gives_back_what_is_kept():
    network = segmenter()
    network.embed_image(frame(scene()))
    network.backend.free_memory()
    assert shares(network, [scene()]) == [1.0]


def test_it_is_off_by_default():
    network = make_segmenter(Shape(SIZE))
    assert not SegmenterOptions().reuse_tokens
    assert shares(network, [scene(), scene()]) == [1.0, 1.0]
    assert network.embed_image(frame(scene())).reuse.kept_bytes == 0
    network.forget("")


def test_an_older_image_is_still_what_it_was():
    network = segmenter()
    old = network.embed_image(frame(scene()))
    kept = [m.clone() for m in old.features.maps]
    network.embed_image(frame(scene(20), 2))
    assert all(torch.equal(a, b) for a, b in zip(old.features.maps, kept, strict=True))


def test_it_says_of_how_many_cameras_there_is_memory_for_tokens():
    one = segmenter().backend.image_encoder.kept_bytes
    assert segmenter(2 * one).computes.endswith("; tokens reused of 2 cameras at most")
    assert segmenter(one - 1).computes.endswith("; no tokens reused: one camera takes 0 MB of reuse_memory")
    assert "tokens" not in make_segmenter(Shape(SIZE)).computes
