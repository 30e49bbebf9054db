"""Which pixel belongs to whom, and how that becomes a mask at the camera's resolution."""

from dataclasses import replace

import numpy as np
import pytest
from painted_objects import RED, TUNING, image_of, keyframe, learn, track

from samlite_ros.streaming.carry.compositing import (
    Layer,
    composite_of,
    duplicates_among,
    render_layers,
    template_claims,
    to_mask,
)
from samlite_ros.streaming.carry.tracks import PromptMatch
from samlite_ros.streaming.carry.ways import Claim, paste
from samlite_ros.streaming.image.frame_images import Window
from samlite_ros.streaming.image.geometry import translation
from samlite_ros.streaming.image.work_image import prepare
from samlite_ros.streaming.model.keyframe import KeyframeMask, PaddedKeyframe
from samlite_ros.types import Frame, Prompt


def drawn(layers, size=(240, 320)):
    """bool (h, w) per layer: the work pixels that it wins."""
    out = []
    for layer, margin in zip(layers, composite_of(layers, size).margins, strict=True):
        inside = np.zeros(size, bool)
        inside[layer.window] = margin > 0
        out.append(inside)
    return out


def layer(log_odds, track_id=1, x0=0, nested=frozenset()):
    owner = track(learn(keyframe([(100, 80, 160, 140)]), 0), track_id, nested=nested)
    return Layer(owner, x0, 0, np.float32(log_odds))


def test_a_thing_at_rest_covers_what_it_covered():
    model = learn(keyframe([(100, 80, 160, 140)]), 0)
    (inside,) = drawn(render_layers([track(model)], image_of([(100, 80, 160, 140)]), TUNING.compositing))
    truth = np.zeros_like(inside)
    truth[80:140, 100:160] = True
    assert (inside & truth).sum() / (inside | truth).sum() > 0.97


def test_a_thing_grows_in_at_the_border_where_its_colours_are():
    model = learn(keyframe([(0, 80, 25, 140)]), 0)
    moved = track(model, pose=translation([30, 0]))
    (inside,) = drawn(render_layers([moved], image_of([(0, 80, 55, 140)]), TUNING.compositing))
    assert inside[90:130, 2:28].mean() > 0.95 and inside[90:130, 60:].mean() == 0


def test_a_thing_does_not_grow_where_its_colours_are_not():
    model = learn(keyframe([(0, 80, 25, 140)]), 0)
    moved = track(model, pose=translation([30, 0]))
    (inside,) = drawn(render_layers([moved], image_of([(30, 80, 55, 140)]), TUNING.compositing))
    assert inside[90:130, 2:26].mean() < 0.05


def test_growth_that_hangs_on_nothing_is_taken_back():
    model = learn(keyframe([(0, 80, 25, 140)]), 0)
    moved = track(model, pose=translation([60, 0]))
    (inside,) = drawn(render_layers([moved], image_of([(60, 80, 85, 140), (5, 80, 30, 140)]), TUNING.compositing))
    assert inside[:, :40].sum() == 0 and inside[90:130, 62:82].mean() > 0.95


def test_a_thing_comes_out_from_behind_what_nobody_asked_for():
    cover = (130, 60, 190, 180)
    shown = keyframe([(100, 80, 160, 140), cover], colors=[RED, (30, 160, 60)])
    shown = PaddedKeyframe(
        image_of([(100, 80, 160, 140), cover], colors=[RED, (30, 160, 60)]), [_left_half(shown)], TUNING.appearance
    )
    away = image_of([(100, 80, 160, 140), (230, 60, 290, 180)], colors=[RED, (30, 160, 60)])
    (inside,) = drawn(render_layers([track(learn(shown, 0))], away, TUNING.compositing))
    assert inside[85:135, 131:136].mean() > 0.9  # as far as it may grow per keyframe
    assert inside[85:135, 162:].sum() == 0


def _left_half(frame):
    return KeyframeMask(100, 80, frame.masks[0].fine[:, :60])


def test_colours_move_a_border_only_where_the_template_does_not_fit():
    model = learn(keyframe([(100, 80, 160, 140)]), 0)
    image = image_of([(101, 80, 161, 140)])
    fits, misfits = (
        drawn(render_layers([track(model, cost=cost)], image, TUNING.compositing))[0] for cost in (0.0, 20.0)
    )
    assert fits[90:130, 100].mean() > 0.9 and misfits[90:130, 100].mean() < 0.1


def test_a_part_that_an_unknown_thing_covers_is_not_its_own():
    model = learn(keyframe([(100, 80, 180, 160)]), 0)
    image = image_of([(100, 80, 180, 160), (140, 60, 200, 180)], colors=[RED, (30, 160, 60)])
    (inside,) = drawn(render_layers([track(model)], image, TUNING.compositing))
    assert inside[85:155, 102:136].mean() > 0.95 and inside[85:155, 146:176].mean() < 0.05


def test_a_thing_that_is_not_there_is_not_drawn():
    model = learn(keyframe([(100, 80, 160, 140)]), 0)
    assert render_layers([track(model, agreement=0.1)], image_of([]), TUNING.compositing) == []
    assert render_layers([track(model, pose=translation([500, 0]))], image_of([]), TUNING.compositing) == []


def test_a_second_track_on_one_thing_is_noticed():
    model = learn(keyframe([(100, 80, 160, 140)]), 0)
    image = image_of([(100, 80, 160, 140)])
    first, second = render_layers([track(model, i, misses=i - 1) for i in (1, 2)], image, TUNING.compositing)
    assert duplicates_among([first, second], TUNING.compositing) == [second]
    assert (
        duplicates_among([second], TUNING.compositing) == []
        and duplicates_among([first, first], TUNING.compositing) == []
    )
    other = replace(first, track=replace(first.track, matches=(PromptMatch(Prompt("other"), 0.9, 1),)))
    aside = replace(first, x0=first.x0 + 50)
    assert (
        duplicates_among([other, second], TUNING.compositing) == []
        and duplicates_among([aside, second], TUNING.compositing) == []
    )


def test_what_was_missed_yields_to_what_was_found():
    model = learn(keyframe([(100, 80, 160, 140)]), 0)
    image = image_of([(100, 80, 160, 140)])
    found, missed = render_layers([track(model, i, misses=i - 1) for i in (1, 2)], image, TUNING.compositing)
    inside = drawn([found, missed])
    assert inside[0][90:130, 110:150].all() and not inside[1][90:130, 110:150].any()


def test_a_thing_whose_place_is_a_guess_yields_to_what_looks_alike_and_is_there():
    model = learn(keyframe([(100, 80, 160, 140)]), 0)
    image = image_of([(100, 80, 160, 140)])
    guessed, sure = render_layers([track(model, 1, inlier_share=0.1), track(model, 2)], image, TUNING.compositing)
    inside = drawn([guessed, sure])
    assert inside[1][90:130, 110:150].all() and not inside[0][90:130, 110:150].any()
    (alone,) = drawn([guessed])
    assert alone[90:130, 110:150].all()


def test_the_higher_log_odds_wins_each_pixel():
    layers = [layer([[3, 2, -1, 4]], 1), layer([[1, 5, -2]], 2, x0=1)]
    composite = composite_of(layers, (1, 5))
    assert composite.owner.tolist() == [[1, 1, 2, 1, 0]]
    assert composite.margins[0].tolist() == [[3, 1, -6, 4]]
    assert composite.margins[1].tolist() == [[-1, 5, -6]]


def test_things_that_share_pixels_by_nature_do_not_compete():
    whole, part = layer([[4, 4, 4]], 1, nested=frozenset({2})), layer([[-3, 6, -3]], 2, nested=frozenset({1}))
    other = layer([[-9, 9, -9]], 3)
    assert [d.sum() for d in drawn([whole, part], (1, 3))] == [3, 1]
    assert [d.sum() for d in drawn([whole, part, other], (1, 3))] == [2, 0, 1]


@pytest.mark.parametrize("camera_size", [(240, 320), (480, 640), (720, 960), (365, 487)])
def test_a_border_is_drawn_where_the_margin_changes_sign(camera_size):
    image = prepare(Frame(np.zeros((*camera_size, 3), np.uint8), 1), TUNING)
    h, w = image.size
    x = np.broadcast_to(np.arange(w, dtype=np.float32), (h, w))
    margin = np.minimum(x - 50.25, 120.75 - x)[20:200, 30:200]  # inside from 50.25 to 120.75 [work px]
    mask = to_mask(margin, 30, 20, image)
    scale = camera_size[1] / w
    columns = np.flatnonzero(mask.full().any(0))
    assert columns[0] == pytest.approx((50.25 + 0.5) * scale, abs=0.51)
    assert columns[-1] + 1 == pytest.approx((120.75 + 0.5) * scale, abs=0.51)
    assert mask.size == camera_size and mask.probability.max() == 255


def test_a_margin_that_is_never_positive_is_no_mask():
    assert to_mask(np.full((5, 5), -1, np.float32), 0, 0, image_of([])) is None


def test_a_carried_shape_takes_the_place_of_the_template():
    tracks = [track(learn(keyframe([(100, 80, 160, 140)]), 0), i) for i in (1, 2)]
    elsewhere = Claim(Window(20, 20, 40, 40), np.full((8, 8), 2, np.float32))
    image = image_of([(100, 80, 160, 140)])
    carried, aligned = drawn(render_layers(tracks, image, TUNING.compositing, {1: elsewhere}))
    assert carried[20:60, 20:60].all() and np.count_nonzero(carried) == 40 * 40
    assert aligned[85:135, 105:155].all() and not aligned[20:60, 20:60].any()


def test_what_a_template_says_is_the_same_at_the_cameras_resolution():
    shown = track(learn(keyframe([(100, 80, 160, 140)]), 0))
    image = image_of([(100, 80, 160, 140)])
    claim = template_claims([shown], image, TUNING.compositing)[1]
    (layer,) = render_layers([shown], image, TUNING.compositing)
    x0, y0, log_odds = paste(claim, image.size, image.camera_scale)
    assert (x0, y0) == (layer.x0, layer.y0) and np.allclose(log_odds, layer.log_odds, atol=1e-3)
