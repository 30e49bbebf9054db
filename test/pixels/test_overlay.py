"""Overlays: what is drawn where, on any image."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.pixels.overlay import _label_text, _result_text, class_color, draw_legend, draw_overlay
from samlite_ros.types import Instance, Mask, Prompt, Query, QueryKey, QueryMatch, QueryResult, Segmentation

SIZE = (120, 160)


def disc(y, x, radius, size=SIZE):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return mask_from_array((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


def make_instance(mask, class_id=0, text="ball", confidence=0.9, propagated=False, track_id=0):
    query = Query(QueryKey("test", text), Prompt(text.lower()), class_id, text)
    y, x = mask.window
    box = (float(x.start), float(y.start), float(x.stop), float(y.stop))
    return Instance(track_id, (QueryMatch(query, confidence),), confidence, propagated, 1, box, mask)


def gray(size=SIZE):
    return np.full((*size, 3), 100, np.uint8)


def test_the_mask_is_tinted_and_the_input_stays():
    image, mask = gray(), disc(80, 80, 25)
    out = draw_overlay(image, [make_instance(mask)])
    assert (image == 100).all()
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    core = disc(80, 80, 20).full()
    assert (out[core] != 100).any(-1).all()
    expected = np.array(class_color(0)) > 100
    assert ((out[80, 80] > 100) == expected).all()
    assert (out[110:, 120:] == 100).all()


def test_a_whole_answer_is_drawn_like_its_instances():
    instances = (make_instance(disc(60, 60, 20)), make_instance(disc(80, 110, 20), 3, "box"))
    answer = Segmentation(1, "", "", SIZE, "demo", 1, 1, (), instances)
    assert np.array_equal(draw_overlay(gray(), answer), draw_overlay(gray(), instances))


def test_no_instances_leave_the_image():
    assert np.array_equal(draw_overlay(gray(), []), gray())


def test_colours_are_stable_and_distinct():
    colors = [class_color(i) for i in range(12)]
    assert colors == [class_color(i) for i in range(12)]
    distances = [max(abs(a - b) for a, b in zip(c, d, strict=True)) for i, c in enumerate(colors) for d in colors[:i]]
    assert min(distances) > 20


def test_carried_masks_have_gaps_in_their_outline():
    mask = disc(70, 80, 30)
    color = np.array(class_color(0))
    solid, dashed = (
        int((draw_overlay(gray(), [make_instance(mask, propagated=p)])[55:] == color).all(-1).sum())
        for p in (False, True)
    )
    assert 0.3 * solid < dashed < 0.8 * solid


def test_less_trust_is_fainter():
    mask = disc(60, 80, 30)
    sure, unsure = (
        int(abs(draw_overlay(gray(), [make_instance(mask, confidence=c)])[60, 80].astype(int) - 100).sum())
        for c in (0.95, 0.2)
    )
    assert unsure < sure


def boxes_drawn(out, class_id):
    """Pixels of a label's background: the pure colour of the class."""
    return (out == np.array(class_color(class_id))).all(-1)


def test_labels_of_two_classes_do_not_cover_each_other():
    size = (480, 640)
    alone = [draw_overlay(gray(size), [make_instance(disc(200, 300, 3, size), i, "ball")]) for i in (0, 1)]
    both = draw_overlay(gray(size), [make_instance(disc(200, 300, 3, size), i, "ball") for i in (0, 1)])
    for class_id in (0, 1):
        label = boxes_drawn(both, class_id).sum() / boxes_drawn(alone[class_id], class_id).sum()
        assert label > 0.9  # its small outline may be covered by the other's, its label not


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (disc(0, 0, 10), "corner"),
        (disc(119, 159, 10), "a very long phrase that is wider than the whole image will ever be"),
        (Mask(0, 0, np.zeros((0, 0), np.uint8), SIZE), "empty"),
        (mask_from_array(np.ones(SIZE, bool)), "everything"),
        (disc(60, 80, 1), "größe 球"),
    ],
)
def test_odd_instances_are_drawn(mask, text):
    out = draw_overlay(gray(), [make_instance(mask, text=text, track_id=12)])
    assert boxes_drawn(out, 0).any()


@pytest.mark.parametrize("size", [(1, 1), (9, 7), (480, 640), (2160, 3840)])
def test_any_image_size(size):
    mask = mask_from_array(np.ones(size, bool))
    out = draw_overlay(gray(size), [make_instance(mask)])
    assert out.shape == (*size, 3)
    assert (out != 100).any()


def test_a_mask_of_another_image_is_refused():
    with pytest.raises(ValueError, match="does not belong"):
        draw_overlay(gray((50, 50)), [make_instance(disc(20, 20, 5))])


def test_the_legend_has_a_line_for_each_query():
    queries = [
        Query(QueryKey("c", str(i)), Prompt(text), i, text=text) for i, text in enumerate(["mug", "dragon", "sign"])
    ]
    results = [
        QueryResult(queries[0], 1, 0.9, 2),
        QueryResult(queries[1], 1, 0.03, 0),
        QueryResult(queries[2], 0, float("nan"), 0),
    ]
    assert [_result_text(r) for r in results] == [
        "mug: 2",
        "dragon: not there, presence 0.03",
        "sign: not searched yet",
    ]
    image = np.full((240, 320, 3), 127, np.uint8)
    draw_legend(image, results)
    for query in queries:
        assert (np.abs(image.astype(int) - class_color(query.class_id)).max(2) < 60).any()
    assert (image[:150] == 127).all()


@pytest.mark.parametrize("count", [0, 500])
def test_a_legend_that_is_too_long_is_cut(count):
    query = Query(QueryKey("c", "q"), Prompt("x" * 90), 1)
    draw_legend(np.zeros((60, 50, 3), np.uint8), [QueryResult(query, 1, 0.5, 1)] * count)


@pytest.mark.parametrize("class_id", range(8))
@pytest.mark.parametrize("paint", [(220, 30, 30), (40, 170, 60), (50, 60, 210), (230, 210, 40)])
def test_the_colour_that_was_asked_for_is_still_seen_inside_of_the_mask(paint, class_id):
    image = np.full((*SIZE, 3), paint, np.uint8)
    seen = draw_overlay(image, [make_instance(disc(70, 80, 30), class_id, confidence=1.0)])[70, 80]
    hue, before = (colorsys.rgb_to_hsv(*(c / 255 for c in color)) for color in (seen, paint))
    assert abs((hue[0] - before[0] + 0.5) % 1 - 0.5) < 30 / 360
    assert hue[1] > 0.6 * before[1]


def test_old_masks_look_old():
    mask, drawn = disc(80, 80, 25), []
    for age_s in (0.0, 0.5, 1.5, 9.0):
        answer = Segmentation(
            1 + round(age_s * 1e9), "", "", SIZE, "demo", 1, 1, (), (make_instance(mask, propagated=True),)
        )
        drawn.append(int(draw_overlay(gray(), answer)[55].max()))
    assert drawn[0] > drawn[1] > drawn[2] > drawn[3] > 100
    assert _label_text(make_instance(mask), 0.4) == "ball 0.90"
    assert _label_text(make_instance(mask), 1.46) == "ball 0.90 1.5 s old"


def test_a_phrase_of_two_planners_stands_in_the_legend_once():
    one, other = (
        QueryResult(Query(QueryKey(client, "q"), Prompt("mug"), 0), 1, 0.9, count)
        for client, count in (("a", 1), ("b", 2))
    )
    both, alone = np.zeros((240, 320, 3), np.uint8), np.zeros((240, 320, 3), np.uint8)
    draw_legend(both, [one, other])
    draw_legend(alone, [other])
    assert np.array_equal(both, alone)


def test_labels_grow_with_the_image():
    """Seen on one screen, a large image's labels are as high as a small one's."""
    heights = []
    for scale in (1, 8):
        size = (480 * scale, 640 * scale)
        out = draw_overlay(gray(size), [make_instance(disc(240 * scale, 320 * scale, 20 * scale, size))])
        column = boxes_drawn(out, 0)[: 219 * scale, 302 * scale : 304 * scale].all(1)
        heights.append(column.sum() / size[0])
    assert heights[1] > 0.8 * heights[0]


@pytest.mark.parametrize("size", [(20, 20), (40, 60), (20, 300), (64, 64)])
def test_a_tiny_image_is_not_covered_by_its_labels(size):
    image = draw_overlay(gray(size), [make_instance(disc(10, 10, 4, size), text="red fire extinguisher")])
    draw_legend(image, [QueryResult(Query(QueryKey("c", "q"), Prompt("red fire extinguisher"), 0), 1, 0.9, 1)])
    assert (image == 100).all(-1).mean() > 0.75 - 100 / (size[0] * size[1])
