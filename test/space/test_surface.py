"""The visible surface is the thing's: nothing beside it, behind it or before it, and nothing that was not measured."""

import cv2
import numpy as np
import pytest
from painted_depth import (
    SIZE,
    background,
    middle,
    millimetres,
    noisy,
    rectangle,
    surface_of,
    true_middle,
    width_m,
)

from samlite_ros.errors import PlaceError
from samlite_ros.space.depth_grid import DepthGrid
from samlite_ros.types import DepthImage

BLOCK = rectangle(100, 60, 160, 140)


def with_block(depth_m: float = 1.0, behind_m: float = 2.0) -> np.ndarray:
    depth = background(behind_m)
    depth[BLOCK] = depth_m
    return depth


def off(surface, mask=BLOCK, depth=None) -> float:
    """Distance of its middle from the truth [m]."""
    return float(np.linalg.norm(middle(surface) - true_middle(mask, with_block() if depth is None else depth)))


@pytest.mark.parametrize("to_type", [lambda d: d, millimetres], ids=["metres", "millimetres"])
def test_middle_extent_and_support_of_a_block(to_type) -> None:
    surface = surface_of(BLOCK, to_type(noisy(with_block())))
    assert off(surface) < 0.003
    assert width_m(surface) == pytest.approx(60 / 300, rel=0.04)
    assert surface.support == pytest.approx(BLOCK.sum(), rel=0.15)
    assert surface.spread_m == pytest.approx(0.002, rel=0.3)
    assert surface.share > 0.9


@pytest.mark.parametrize("change_px", [-2, 2])
def test_a_mask_that_errs_by_two_pixels(change_px) -> None:
    kernel = np.ones((5, 5), np.uint8)
    mask = (cv2.dilate if change_px > 0 else cv2.erode)(BLOCK.astype(np.uint8), kernel) > 0
    surface = surface_of(mask, noisy(with_block()))
    assert off(surface) < 0.003
    assert width_m(surface) == pytest.approx(60 / 300, rel=0.1)


def test_a_wall_five_centimetres_behind_and_a_mask_that_is_too_large() -> None:
    mask = cv2.dilate(BLOCK.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    depth = with_block(behind_m=1.05)
    surface = surface_of(mask, noisy(depth))
    assert off(surface, depth=depth) < 0.005


def test_what_shines_through_is_not_the_thing() -> None:
    depth = with_block()
    rows, columns = np.nonzero(BLOCK)
    through = (rows % 16 < 9) & (columns % 16 < 15)  # a rack: more than half of the mask shows the wall
    depth[rows[through], columns[through]] = 2.0
    assert through.mean() > 0.5
    surface = surface_of(BLOCK, noisy(depth))
    assert middle(surface)[2] == pytest.approx(1.0, abs=0.005)
    assert surface.share < 0.6


def test_something_before_the_thing_does_not_leak_in() -> None:
    depth = with_block()
    hidden = rectangle(130, 60, 160, 140)
    depth[hidden] = 0.6
    seen = BLOCK & ~hidden
    mask = cv2.dilate(seen.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    surface = surface_of(mask, noisy(depth))
    assert float(np.linalg.norm(middle(surface) - true_middle(seen, depth))) < 0.005
    assert surface.core[2].min() > 0.95


@pytest.mark.parametrize("grown_px", [0, 2])
def test_a_pole_of_eight_pixels(grown_px) -> None:
    pole = rectangle(150, 20, 158, 220)
    depth = background(3.0)
    depth[pole] = 1.2
    mask = rectangle(150 - grown_px, 20 - grown_px, 158 + grown_px, 220 + grown_px)
    surface = surface_of(mask, noisy(depth))
    assert float(np.linalg.norm(middle(surface) - true_middle(pole, depth))) < 0.012


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -np.inf, -1.0, 1e-30, 1e30])
def test_what_was_not_measured_says_nothing(nothing) -> None:
    depth = noisy(with_block())
    depth[np.random.default_rng(3).random(SIZE) < 0.6] = nothing
    surface = surface_of(BLOCK, depth)
    assert off(surface) < 0.01
    depth[:] = nothing
    assert surface_of(BLOCK, depth) is None


def test_saturated_millimetres_say_nothing() -> None:
    depth = millimetres(noisy(with_block()))
    depth[np.random.default_rng(3).random(SIZE) < 0.5] = 65535
    assert off(surface_of(BLOCK, depth)) < 0.01


def test_pixels_that_fly_between_surfaces_are_left_out() -> None:
    depth = noisy(with_block())
    edge = cv2.dilate(BLOCK.astype(np.uint8), np.ones((3, 3))) - cv2.erode(BLOCK.astype(np.uint8), np.ones((5, 5)))
    where = (edge > 0) & (np.random.default_rng(1).random(SIZE) < 0.5)
    depth[where] = np.random.default_rng(2).uniform(1.0, 2.0, int(where.sum()))
    surface = surface_of(BLOCK, depth)
    assert off(surface) < 0.003
    assert surface.outline[2].max() < 1.1
    assert width_m(surface) == pytest.approx(60 / 300, rel=0.1)


def test_too_few_pixels_say_nothing() -> None:
    assert surface_of(rectangle(10, 10, 13, 13), noisy(with_block())) is None
    assert surface_of(rectangle(0, 0, 320, 240), np.zeros(SIZE, np.uint16)) is None


def test_masks_at_the_border_of_the_image() -> None:
    for mask in (rectangle(0, 0, 60, 50), rectangle(270, 200, 320, 240), rectangle(0, 0, 320, 240)):
        surface = surface_of(mask, noisy(background()))
        assert middle(surface) == pytest.approx(true_middle(mask, background()), abs=0.01)


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_registered_depth_of_another_size_is_scaled(factor) -> None:
    size = (round(SIZE[0] * factor), round(SIZE[1] * factor))
    small = cv2.resize(noisy(with_block()), size[::-1], interpolation=cv2.INTER_NEAREST)
    surface = surface_of(BLOCK, millimetres(small))
    assert off(surface) < 0.005
    assert width_m(surface) == pytest.approx(60 / 300, rel=0.08)


def test_depth_of_another_view_is_refused() -> None:
    with pytest.raises(PlaceError, match="320 x 200"):
        DepthGrid(DepthImage(np.ones((200, 320), np.float32), 1, "optical"), SIZE)


def test_a_slope_is_one_surface() -> None:
    depth = background(3.0)
    depth[BLOCK] = np.linspace(1.6, 1.0, 80, dtype=np.float32).repeat(60)
    surface = surface_of(BLOCK, noisy(depth))
    assert off(surface, depth=depth) < 0.01
    assert np.ptp(surface.outline[2]) == pytest.approx(0.6, rel=0.1)
