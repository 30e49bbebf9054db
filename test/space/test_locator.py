"""Places of an answer's things: in which frame, smoothed by track, and what cannot be said."""

from dataclasses import replace

import numpy as np
import pytest
from painted_depth import CALIBRATION, SIZE, background, noisy, rectangle, true_middle

from samlite_ros.errors import CalibrationError, PlaceError
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.space.frames import Transform, transform_of
from samlite_ros.space.locator import Locator, LocatorOptions
from samlite_ros.types import DepthImage, Frame, Instance, Segmentation

MASK = rectangle(100, 60, 160, 140)


def frame(index: int = 0, **changes) -> Frame:
    depth = background()
    depth[MASK] = 1.0
    stamp_ns = 10**9 + index * 33_333_333
    whole = Frame(
        np.zeros((*SIZE, 3), np.uint8),
        stamp_ns,
        "optical",
        depth=DepthImage(noisy(depth, index), stamp_ns, "optical"),
        calibration=CALIBRATION,
    )
    return replace(whole, **changes)


def answer(of: Frame, *instances: tuple[int, np.ndarray]) -> Segmentation:
    things = tuple(
        Instance(track_id, (), 0.9, False, of.stamp_ns, (0, 0, 1, 1), mask_from_array(mask))
        for track_id, mask in instances or ((3, MASK),)
    )
    return Segmentation(of.stamp_ns, of.frame_id, "", SIZE, "m", 1, of.stamp_ns, (), things)


def test_places_are_in_the_optical_frame() -> None:
    seen = frame()
    (place,) = Locator().locate(answer(seen), seen).places
    truth = true_middle(MASK, np.where(MASK, 1.0, 2.0))
    assert place.frame_id == "optical" and place.stamp_ns == seen.stamp_ns
    assert place.position_m == pytest.approx(truth, abs=0.002)
    assert place.box_center_m == pytest.approx(truth, abs=0.01)
    assert place.box_size_m[:2] == pytest.approx([0.2, 80 / 300], rel=0.05)
    assert place.points_m.shape[1] == 3 and place.points_m.dtype == np.float32
    sigma = np.sqrt(np.diag(place.covariance_m2))
    assert (sigma > 0.0005).all() and (sigma < 0.01).all()


def test_places_in_a_target_frame() -> None:
    seen = frame()
    to_base = transform_of((0.5, -0.2, 1.1), (-0.5, 0.5, -0.5, 0.5))  # z ahead becomes x ahead, y down becomes z up
    located = Locator().locate(answer(seen), seen, ("base_link", to_base))
    (place,) = located.places
    x, y, z = true_middle(MASK, np.where(MASK, 1.0, 2.0))
    assert located.frame_id == place.frame_id == "base_link"
    assert place.position_m == pytest.approx([z + 0.5, -x - 0.2, -y + 1.1], abs=0.003)
    assert place.box_size_m[1:] == pytest.approx([0.2, 80 / 300], rel=0.05)


def test_a_thing_without_depth_has_no_place_and_the_others_keep_theirs() -> None:
    hidden = rectangle(10, 10, 60, 60)
    seen = frame()
    depth = seen.depth.depth.copy()
    depth[hidden] = 0
    seen = replace(seen, depth=replace(seen.depth, depth=depth))
    places = Locator().locate(answer(seen, (1, hidden), (2, MASK), (0, MASK)), seen).places
    assert places[0] is None
    assert places[1].position_m == pytest.approx(places[2].position_m, abs=0.002)


def test_a_track_is_smoothed_and_what_has_none_is_not() -> None:
    locator = Locator()
    for index in range(20):
        seen = frame(index)
        tracked, alone = locator.locate(answer(seen, (3, MASK), (0, MASK)), seen).places
    assert 0.75 < np.trace(tracked.covariance_m2) / np.trace(tracked.measured_covariance_m2) < 0.95
    assert alone.position_m is alone.measured_m


def test_another_frame_begins_anew() -> None:
    locator, far = Locator(), Transform(np.eye(3), np.array([100.0, 0, 0]))
    for index in range(5):
        locator.locate(answer(frame(index)), frame(index))
    (place,) = locator.locate(answer(frame(5)), frame(5), ("map", far)).places
    assert place.position_m[0] == pytest.approx(place.measured_m[0], abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"depth": None}, "no depth image"),
        ({"calibration": None}, "no calibration"),
        ({"depth": DepthImage(np.ones(SIZE, np.float32), 1, "infra")}, "'infra'.*must be registered"),
        ({"depth": DepthImage(np.ones((240, 240), np.float32), 1, "optical")}, "240 x 240"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_words(changes, words) -> None:
    seen = frame(**changes)
    with pytest.raises(PlaceError, match=words):
        Locator().locate(answer(seen), seen)


def test_an_unknown_distortion_is_refused_in_words() -> None:
    seen = frame(calibration=replace(CALIBRATION, distortion=np.ones(4), distortion_model="unified"))
    with pytest.raises(CalibrationError, match="unified"):
        Locator().locate(answer(seen), seen)


def test_rectified_images_have_no_distortion_and_the_matrix_of_p() -> None:
    distorted = replace(
        CALIBRATION, camera_matrix=CALIBRATION.camera_matrix * 1.1, distortion=np.array([-0.3, 0.1, 0, 0, 0])
    )
    seen = frame(calibration=replace(distorted, rectified_matrix=CALIBRATION.camera_matrix))
    (place,) = Locator(LocatorOptions(rectified=True)).locate(answer(seen), seen).places
    assert place.position_m == pytest.approx(true_middle(MASK, np.where(MASK, 1.0, 2.0)), abs=0.003)


def test_pixels_that_no_ray_meets_are_left_out() -> None:
    folded = replace(CALIBRATION, distortion=np.array([-1.2, 0, 0, 0, 0]))  # only the middle of the image has rays
    seen = frame(calibration=folded)
    corner, place = Locator().locate(answer(seen, (1, rectangle(0, 0, 40, 40)), (2, MASK)), seen).places
    assert corner is None
    assert np.isfinite(place.points_m).all() and place.position_m[2] == pytest.approx(1.0, abs=0.01)


def test_a_new_calibration_is_used_at_once() -> None:
    locator = Locator()
    locator.locate(answer(frame()), frame())
    wide = frame(
        1,
        calibration=replace(
            CALIBRATION,
            camera_matrix=np.diag([150.0, 150, 1])
            + CALIBRATION.camera_matrix * [[0, 0, 1]] * np.array([[1], [1], [0]]),
        ),
    )
    (place,) = locator.locate(answer(wide), wide).places
    assert place.box_size_m[0] == pytest.approx(0.4, rel=0.05)


def test_what_a_border_hides_of_a_round_thing_is_in_its_covariance() -> None:
    """The median of what is looked at lies before that of the whole: as far as the covariance says."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    away = ((x - 130.0) ** 2 + (y - 100.0) ** 2) / 14**2
    ball, depth = away < 1, background()
    depth[ball] = 1.0 + 0.12 * (1 - np.sqrt(1 - away[ball]))
    seen = frame(depth=DepthImage(depth, 10**9, "optical"))
    (place,) = Locator().locate(answer(seen, (3, ball)), seen).places
    error = place.position_m - true_middle(ball, depth)
    assert error[2] < -0.002
    assert error @ np.linalg.inv(place.covariance_m2) @ error < 6
