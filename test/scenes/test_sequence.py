"""Rendered sequences move as they say."""

from itertools import pairwise

import numpy as np
import pytest

from samlite_ros.scenes.sequence import KINDS, START_NS, Sequence, SequenceOptions

SMALL = SequenceOptions(size=(240, 320), frames=90)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_do_not_depend_on_the_order_of_access(kind: str) -> None:
    sequence, again = Sequence(kind, 3, SMALL), Sequence(kind, 3, SMALL)
    late = again[40]
    assert (sequence[7].image == again[7].image).all()
    assert (sequence[40].image == late.image).all()
    assert (sequence[40].ids == late.ids).all()


def test_stamps_follow_the_rate() -> None:
    sequence = Sequence("still", 0, SMALL)
    assert [sequence[index].stamp_ns for index in (0, 30, 89)] == [
        START_NS,
        START_NS + 1_000_000_000,
        START_NS + 2_966_666_667,
    ]
    assert len(list(sequence)) == len(sequence) == 90


@pytest.mark.parametrize("index", [-1, 90])
def test_index_out_of_range(index: int) -> None:
    with pytest.raises(IndexError, match="0 to 89"):
        Sequence("still", 0, SMALL)[index]


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="'zoom' is none of still, pan"):
        Sequence("zoom", 0)


def test_still_is_still_up_to_noise() -> None:
    sequence = Sequence("still", 1, SMALL)
    first, last = sequence[0], sequence[89]
    assert (first.ids == last.ids).all()
    assert np.abs(first.image.astype(int) - last.image).mean() < 10
    assert (first.image != last.image).any()


@pytest.mark.parametrize("speed", [60.0, 200.0])
def test_pan_moves_the_image_centre_at_its_speed(speed: float) -> None:
    sequence = Sequence("pan", 2, SequenceOptions(size=(480, 640), speed_px_s=speed))
    before, after = sequence.camera_at(0.1), sequence.camera_at(0.11)
    ahead = before.ray(320, 240) + before.pose.position_m
    (moved,), _ = after.project(ahead[None])
    assert np.hypot(*(moved - (320, 240))) == pytest.approx(speed * 0.01, rel=0.02)


def test_fly_moves_what_it_looks_at_at_its_speed() -> None:
    sequence = Sequence("fly", 2, SequenceOptions(size=(480, 640), speed_px_s=100.0))
    before, after = sequence.camera_at(0.0), sequence.camera_at(0.01)
    floor = np.append(before.floor_point(320, 240), 0.0)
    (moved,), _ = after.project(floor[None])
    assert abs(moved[0] - 320) == pytest.approx(1.0, rel=0.05)


def test_crossing_objects_move_at_their_declared_velocity() -> None:
    sequence = Sequence("cross", 4, SequenceOptions(speed_px_s=150.0, frames=150))
    speeds = []
    for thing in sequence.world.things:
        centre = [thing.foot_m(t) + (0, 0, thing.height_m / 2) for t in (0.0, 0.01)]  # noqa: RUF005 - a sum, not a tuple
        pixels, _ = sequence.camera_at(0.0).project(np.array(centre))
        speeds.append(abs(pixels[1, 0] - pixels[0, 0]) / 0.01)
    assert max(speeds) == pytest.approx(150.0, rel=0.02)
    assert min(speeds) >= 74.0


def test_crossing_objects_leave_and_come_again() -> None:
    sequence = Sequence("cross", 4, SequenceOptions(size=(240, 320), speed_px_s=200.0, frames=450))
    seen = [{truth.track_id for truth in sequence[index].objects} for index in range(0, 450, 15)]
    gone = [a - b for a, b in pairwise(seen)]
    come = [b - a for a, b in pairwise(seen)]
    assert any(gone)
    assert any(come)


def test_one_object_appears_at_its_time() -> None:
    sequence = Sequence("appear", 5, SequenceOptions(size=(240, 320), appears_s=1.0, frames=60))
    before, after = (len(sequence[index].objects) for index in (29, 30))
    assert after == before + 1


def test_objects_of_a_pan_move_with_the_camera() -> None:
    sequence = Sequence("pan", 6, SequenceOptions(speed_px_s=200.0))
    first, later = sequence[0], sequence[3]
    boxes = {truth.track_id: truth for truth in later.objects}
    shifts = [
        boxes[truth.track_id].box_xyxy[0] - truth.box_xyxy[0]
        for truth in first.objects
        if truth.track_id in boxes and min(truth.image_fraction, boxes[truth.track_id].image_fraction) == 1.0
    ]
    assert shifts
    assert all(15 <= abs(shift) <= 35 for shift in shifts)  # 20 px at the centre, more towards the border
    assert len({shift > 0 for shift in shifts}) == 1
