"""Rendered images and their truth."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from samlite_ros.scenes.camera import Camera, CameraPose
from samlite_ros.scenes.render import TRAINING_STREAM, draw_ids, render_scene, silhouette
from samlite_ros.scenes.solids import outline_area_px, outline_px, view_of
from samlite_ros.scenes.vocabulary import COLOURS, HELD_OUT_PAIRS, SHAPES
from samlite_ros.scenes.world import Thing, WorldOptions

CAMERA = Camera(CameraPose((0.0, -1.2, 0.9), 0.0, 0.6), 600.0, (480, 640))


def thing(shape: str, **changes: object) -> Thing:
    base = Thing(1, shape, "red", (0.0, 0.0), 0.15, 0.3, 0.4, (1.0, 0.0, 0.0), 0.3, 0.0, 0)
    return replace(base, **changes)


def test_same_seed_same_scene_other_seed_another() -> None:
    first, again, other = render_scene(5), render_scene(5), render_scene(6)
    assert (first.image == again.image).all()
    assert (first.ids == again.ids).all()
    assert first.objects == again.objects
    assert (first.image != other.image).any()


def test_training_seeds_give_other_scenes() -> None:
    assert (render_scene(5).image != render_scene(5, stream=TRAINING_STREAM).image).any()


def test_truth_agrees_with_id_map() -> None:
    for seed in range(12):
        scene = render_scene(seed)
        seen = {int(value) for value in np.unique(scene.ids)} - {0}
        assert seen == {truth.track_id for truth in scene.objects}
        for truth in scene.objects:
            mask = scene.mask(truth.track_id)
            rows, columns = np.nonzero(mask)
            assert truth.area_px == mask.sum()
            assert truth.box_xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert 0.3 <= truth.visible_fraction <= 1.0


def test_number_of_objects_spans_zero_to_eight() -> None:
    counts = {len(render_scene(seed, size=(120, 160)).objects) for seed in range(80)}
    assert min(counts) == 0
    assert max(counts) == 8


def test_held_out_pairs_are_not_rendered() -> None:
    options = WorldOptions(excluded_pairs=HELD_OUT_PAIRS)
    pairs = {(o.colour, o.shape) for seed in range(90) for o in render_scene(seed, (120, 160), options).objects}
    assert not pairs & HELD_OUT_PAIRS
    assert pairs == {(c, s) for c in COLOURS for s in SHAPES} - HELD_OUT_PAIRS


@pytest.mark.parametrize("shape", SHAPES)
def test_mask_is_the_outline(shape: str) -> None:
    view = view_of(thing(shape), CAMERA, 0.0)
    outline = outline_px(view)
    ids, (truth,) = draw_ids([silhouette(view, CAMERA.size)], CAMERA.size)
    border = outline.astype(np.float32)
    depth = np.array([[cv2.pointPolygonTest(border, (x + 0.5, y + 0.5), True) for x in range(640)] for y in range(480)])
    assert (ids[depth > 0] == 1).all()
    assert depth[ids == 1].min() > -1.0  # the drawn edge is up to a pixel wider than the outline
    assert truth.area_px == pytest.approx(outline_area_px(outline), rel=0.03)
    assert truth.visible_fraction == truth.image_fraction == pytest.approx(1.0, abs=0.01)


def test_ball_is_a_disc_where_the_camera_sees_its_centre() -> None:
    view = view_of(thing("ball"), CAMERA, 0.0)
    ids, (truth,) = draw_ids([silhouette(view, CAMERA.size)], CAMERA.size)
    (centre,), (depth,) = CAMERA.project(np.array([[0.0, 0.0, 0.15]]))
    radius = 600.0 * 0.15 / depth
    y, x = np.mgrid[0:480, 0:640] + 0.5
    disc = np.hypot(x - centre[0], y - centre[1]) < radius
    assert (ids.astype(bool) ^ disc).sum() < 0.02 * disc.sum()
    assert truth.depth_m == pytest.approx(depth)


def test_nearer_object_hides_the_farther_one() -> None:
    near = thing("box", track_id=2, position_m=(0.0, -0.35))
    views = [view_of(one, CAMERA, 0.0) for one in (thing("ball"), near)]
    _, (ball, box) = draw_ids([silhouette(view, CAMERA.size) for view in views], CAMERA.size)
    assert ball.visible_fraction < 0.9
    assert box.visible_fraction == 1.0
    assert ball.depth_m > box.depth_m


def test_object_at_the_border_knows_how_much_of_it_is_inside() -> None:
    view = view_of(thing("ball", position_m=(0.8, 0.0)), CAMERA, 0.0)
    _, (truth,) = draw_ids([silhouette(view, CAMERA.size)], CAMERA.size)
    assert 0.2 < truth.image_fraction < 0.9
    assert truth.visible_fraction == 1.0


def test_object_behind_the_camera_is_not_seen() -> None:
    assert view_of(thing("ball", position_m=(0.0, -3.0)), CAMERA, 0.0) is None


def test_objects_show_their_colour() -> None:
    """The mean hue inside a mask is nearer to the hue of its own colour word than to that of any other."""
    hues = {"red": 0, "orange": 26, "yellow": 55, "green": 122, "cyan": 183, "blue": 226, "purple": 278, "pink": 326}
    right = total = 0
    for seed in range(25):
        scene = render_scene(seed)
        for truth in scene.objects:
            if truth.area_px < 2000:
                continue
            r, g, b = scene.image[scene.mask(truth.track_id)].mean(0)
            hue = float(np.degrees(np.arctan2(np.sqrt(3) * (g - b), 2 * r - g - b)))
            nearest = min(hues, key=lambda name: abs((hue - hues[name] + 180) % 360 - 180))
            right += nearest == truth.colour
            total += 1
    assert total > 50
    assert right / total > 0.85
