"""Shapes carried from a late mask to every frame."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from samlite_ros.streaming.carry.planes import ERROR, PLANES
from samlite_ros.streaming.carry.shape_carrier import ShapeCarrier
from samlite_ros.streaming.carry.ways import WAYS, WayRecord, paste
from samlite_ros.streaming.image.frame_images import FrameImages
from samlite_ros.streaming.image.point_pool import PointPool
from samlite_ros.streaming.tuning import Tuning

SIZE = (240, 320)
PERIOD_NS = 33_333_333
TUNING = replace(Tuning(), shapes=replace(Tuning().shapes, link_lean=0.0))
"""Links are made of what is refined as it is: the refiners here lose nothing."""


def no_correction(planes: np.ndarray) -> np.ndarray:
    return np.zeros(planes.shape[1:], np.float32)


def texture(seed: int, size: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (size[0] // 4, size[1] // 4, 3)).astype(np.float32)
    return cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


BACK, FRONT = texture(0, SIZE), texture(1, (80, 80))


def frame(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured square that moves 3 px a frame over a textured wall, and its mask."""
    image, mask = BACK.copy(), np.zeros(SIZE, bool)
    x = 40 + 3 * number
    image[80:160, x : x + 80] = FRONT
    mask[80:160, x : x + 80] = True
    return image, mask


def drawn(carrier: ShapeCarrier, thing: int) -> np.ndarray:
    out = np.zeros(SIZE, bool)
    claim = carrier.claims().get(thing)
    if claim is not None:
        x, y, values = paste(claim, SIZE)
        out[y : y + values.shape[0], x : x + values.shape[1]] = values > 0
    return out


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)


def run(carrier: ShapeCarrier, frames: int, late: int) -> list[float]:
    """Overlap in each frame from when the first frame's mask, `late` frames old, was delivered."""
    found, moment = [], None
    for number in range(frames):
        image, mask = frame(number)
        carrier.advance(FrameImages(image), number * PERIOD_NS)
        if number == 0:
            moment = carrier.submit()
        if number == late:
            carrier.deliver(7, frame(0)[1], moment)
        if number >= late:
            found.append(overlap(drawn(carrier, 7), mask))
    return found


@pytest.mark.parametrize("late", [3, 14])
def test_a_late_mask_is_carried_to_now_and_on(late):
    found = run(ShapeCarrier(no_correction, TUNING), late + 10, late)
    catching_up = 1 if late > TUNING.shapes.link_every * TUNING.shapes.late else 0
    assert min(found[catching_up:]) > 0.85


def test_the_refiner_is_shown_the_planes_and_believed():
    shown = []

    class Eraser:
        def __call__(self, planes):
            shown.append(planes.shape)
            return np.full(planes.shape[1:], -100, np.float32)

    found = run(ShapeCarrier(Eraser(), TUNING), 4, 2)
    assert set(shown) == {(PLANES, 96, 96)}
    assert found == [0.0, 0.0]


def test_a_thing_that_the_refiner_spoils_is_drawn_without_it_after_keyframes():
    class Eraser:
        def __call__(self, planes):
            return np.full(planes.shape[1:], -100, np.float32)

    carrier, moment, last = ShapeCarrier(Eraser(), TUNING), None, 0.0
    for number in range(20):
        image, mask = frame(number)
        carrier.advance(FrameImages(image), number * PERIOD_NS)
        last = overlap(drawn(carrier, 7), mask)
        if number % 4 == 3 and moment is not None:
            carrier.deliver(7, frame(number - 3)[1], moment)
        if number % 4 == 0:
            moment = carrier.submit()
    assert last > 0.9


def test_links_give_back_what_the_refiner_takes_each_time():
    class Shrinker:
        def __call__(self, planes):
            return np.full(planes.shape[1:], -0.4, np.float32)

    found = {}
    for lean in (0.0, 0.4):
        tuning = replace(TUNING, shapes=replace(TUNING.shapes, link_lean=lean))
        found[lean] = run(ShapeCarrier(Shrinker(), tuning), 40, 3)[-1]
    assert found[0.4] > 0.8 and found[0.0] < 0.6


class HalfBlind:
    """A refiner that takes the right half of its window from every shape, unless it is told that it errs there.

    Args:
        believes: How much it makes of what it is told.
    """

    def __init__(self, believes: float) -> None:
        self.believes, self.told = believes, []

    def __call__(self, planes: np.ndarray) -> np.ndarray:
        self.told.append(planes[ERROR].copy())
        out = np.zeros(planes.shape[1:], np.float32)
        out[:, out.shape[1] // 2 :] = -20
        return out + np.float32(self.believes) * planes[ERROR]


def kept_right(carrier: ShapeCarrier, frames: int = 24) -> list[float]:
    """Overlap in each frame, with a keyframe in every fourth that is answered three frames later."""
    found, moment, asked = [], None, 0
    for number in range(frames):
        image, mask = frame(number)
        carrier.advance(FrameImages(image), number * PERIOD_NS)
        if moment is not None and number == asked + 3:
            carrier.deliver(7, frame(asked)[1], moment)
        found.append(overlap(drawn(carrier, 7), mask))
        if number % 4 == 0:
            moment, asked = carrier.submit(), number
    return found


@pytest.fixture
def always_believed(monkeypatch):
    """The refiner is believed, whatever its record."""
    monkeypatch.setattr(WayRecord, "chosen", lambda record: WAYS[0])


@pytest.mark.usefixtures("always_believed")
def test_the_refiner_is_told_where_it_erred_at_the_keyframe_and_that_moves_with_the_thing():
    deaf = HalfBlind(0.0)
    assert max(kept_right(ShapeCarrier(deaf, TUNING))[4:]) < 0.6
    assert not deaf.told[0].any(), "nothing was foreseen of the first keyframe"
    told = deaf.told[-1]
    x = np.abs(told).sum(0) @ np.arange(96) / np.abs(told).sum()
    assert 48 < x < 80 and told.max() > 0.9, "what was taken from the right half of the thing is missing"
    heard = kept_right(ShapeCarrier(HalfBlind(40.0), TUNING))
    assert min(heard[-4:]) > 0.85


@pytest.mark.usefixtures("always_believed")
def test_what_it_was_told_before_is_told_again_though_it_errs_no_more():
    wrong = {}
    for keep in (0.0, 0.5):
        tuning = replace(TUNING, shapes=replace(TUNING.shapes, error_keep=keep))
        found = kept_right(ShapeCarrier(HalfBlind(40.0), tuning), 40)
        wrong[keep] = np.count_nonzero(np.array(found[8:]) < 0.85)
    assert wrong[0.5] < 0.7 * wrong[0.0]


def test_more_things_than_are_refined_at_once_are_all_shown():
    carrier = ShapeCarrier(no_correction, TUNING)
    image, _ = frame(0)
    masks = []
    for k in range(6):
        mask = np.zeros(SIZE, bool)
        mask[20 + 30 * k : 45 + 30 * k, 200:240] = True
        masks.append(mask)
    carrier.advance(FrameImages(image), 0)
    moment = carrier.submit()
    for k, mask in enumerate(masks):
        carrier.deliver(k, mask, moment)
    for number in range(1, 8):
        carrier.advance(FrameImages(image), number * PERIOD_NS)
        claims = carrier.claims()
    assert set(claims) == set(range(6))
    assert all(overlap(drawn(carrier, k), m) > 0.85 for k, m in enumerate(masks))


def six_things(carrier: ShapeCarrier, frames: int, **how) -> list[int]:
    """How often the refiner was asked in each frame."""
    asked, counts = [], []

    def counting(planes):
        asked.append(1)
        return no_correction(planes)

    carrier._refiner = counting
    image, _ = frame(0)
    for number in range(frames):
        carrier.advance(FrameImages(image), number * PERIOD_NS)
        if number == 0:
            moment = carrier.submit()
            for k in range(6):
                mask = np.zeros(SIZE, bool)
                mask[20 + 30 * k : 45 + 30 * k, 200:240] = True
                carrier.deliver(k, mask, moment)
        if how.get("learning"):
            carrier.note_learning()
        before = len(asked)
        carrier.claims(how.get("resting", ()))
        counts.append(len(asked) - before)
    return counts


def test_a_frame_looks_at_so_many_things_and_at_fewer_where_templates_are_learnt():
    most, new = TUNING.shapes.looks_per_frame, TUNING.shapes.looks_when_new
    counts = six_things(ShapeCarrier(no_correction, TUNING), 20)
    assert max(counts) <= new
    assert set(counts[8:]) == {most}
    assert set(six_things(ShapeCarrier(no_correction, TUNING), 20, learning=True)[8:]) == {most - 1}


def test_what_rests_is_looked_at_now_and_then_and_its_points_are_moved_now_and_then(monkeypatch):
    followed = []
    follow = PointPool.follow
    monkeypatch.setattr(PointPool, "follow", lambda pool, *images: (followed.append(1), follow(pool, *images)))
    tuning, frames = TUNING.shapes, 68
    counts = six_things(ShapeCarrier(no_correction, TUNING), 8 + frames, resting=range(6))
    assert max(counts[8:]) == 1
    assert 6 <= sum(counts[8:]) <= 6 * frames / tuning.look_at_resting_every
    assert len(followed) <= 8 + frames / tuning.follow_resting_every


def test_few_points_are_followed_once_templates_have_drawn_all_for_long():
    counts = {}
    for resting in ((), (0,)):
        image, mask = frame(0)
        carrier = ShapeCarrier(no_correction, TUNING)
        for number in range(2 * TUNING.shapes.long_rest):
            carrier.advance(FrameImages(np.roll(image, 4 * number, 1)), number * PERIOD_NS)
            if number == 0:
                carrier.deliver(0, mask, carrier.submit())
            carrier.claims(resting)
        counts[resting] = len(carrier._frames._pool.now)
    assert counts[0,] <= 2 * TUNING.shapes.points_resting < counts[()]


def looks_at_rest(busy: dict[int, str]) -> list[int]:
    """Frames in which a thing that rests is looked at, where some frames have other work."""
    image, mask = frame(0)
    carrier, looked = ShapeCarrier(no_correction, TUNING), []
    for number in range(TUNING.shapes.long_rest + 8 * TUNING.shapes.look_at_resting_every):
        if busy.get(number) == "an answer":
            carrier.note_answer()
        carrier.advance(FrameImages(image), number * PERIOD_NS)
        if busy.get(number) == "learning":
            carrier.note_learning()
        if number == 0:
            carrier.deliver(0, mask, carrier.submit())
        carrier.claims([0])
        looked += [number] * (carrier.things[0].looked == number)
    return looked


@pytest.mark.parametrize("what", ["an answer", "learning"])
def test_what_rests_is_looked_at_later_where_there_is_other_work(what):
    due = looks_at_rest({})[1]
    later = due + TUNING.shapes.follow_resting_every
    assert looks_at_rest({due: what})[1] == later
    assert looks_at_rest({due: what, later: what})[1] == later, "but no later"


@pytest.mark.parametrize("step_px, long_rest, is_seldom", [(0, 1000, True), (2, 1000, False), (2, 8, True)])
def test_points_that_move_are_moved_in_every_frame_until_templates_have_drawn_all_for_long(
    monkeypatch, step_px, long_rest, is_seldom
):
    followed = []
    follow = PointPool.follow
    monkeypatch.setattr(PointPool, "follow", lambda pool, *images: (followed.append(1), follow(pool, *images)))
    image, mask = frame(0)
    carrier = ShapeCarrier(no_correction, replace(TUNING, shapes=replace(TUNING.shapes, long_rest=long_rest)))
    for number in range(30):
        carrier.advance(FrameImages(np.roll(image, step_px * number, 1)), number * PERIOD_NS)
        if number == 0:
            carrier.deliver(0, mask, carrier.submit())
        carrier.claims([0])
    assert (len(followed) < 20) == is_seldom


def test_what_changes_more_is_looked_at_more_often():
    carrier = ShapeCarrier(no_correction, TUNING)
    six_things(carrier, 10)
    looks = dict.fromkeys(carrier.things, 0)
    for number in range(10, 30):
        carrier.things[3].unrest = 1.0
        carrier.advance(FrameImages(frame(0)[0]), number * PERIOD_NS)
        carrier.claims()
        for k, thing in carrier.things.items():
            looks[k] += thing.looked == carrier._frames.number
    assert looks[3] == max(looks.values()) >= 19
    assert min(looks.values()) >= 2


def test_a_keyframe_seen_while_another_was_drawn_tells_how_well_it_was_foreseen():
    """Also where a thing was not refined in the very frame that went to the network, but shortly before."""
    carrier = ShapeCarrier(no_correction, TUNING)
    run(carrier, 8, 2)
    image, mask = frame(8)
    carrier.advance(FrameImages(image), 8 * PERIOD_NS)
    moment = carrier.submit()
    assert carrier.asked_of(moment) == {7}
    carrier.deliver(7, mask, moment)
    carrier.claims()
    record = carrier.things[7].record
    assert record._weights[0] == 1
    assert record._errors[0] < 0.15


def test_a_thing_that_ended_is_not_shown():
    carrier = ShapeCarrier(no_correction, TUNING)
    run(carrier, 5, 2)
    carrier.end(7)
    assert carrier.claims() == {}


def test_there_is_no_keyframe_before_the_first_frame():
    with pytest.raises(ValueError, match="no frame yet"):
        ShapeCarrier(no_correction, TUNING).submit()


def test_points_are_moved_to_a_keyframe_later_where_all_rest_and_it_can_be_answered_nevertheless(monkeypatch):
    followed = []
    follow = PointPool.follow
    monkeypatch.setattr(PointPool, "follow", lambda pool, *images: (followed.append(1), follow(pool, *images)))
    carrier, t = ShapeCarrier(no_correction, TUNING), TUNING.shapes
    last = 3 * t.long_rest
    for number in range(last + 4):
        image, mask = frame(min(number, 20))
        carrier.advance(FrameImages(image), number * PERIOD_NS)
        if number == last:
            assert carrier._frames.followed is None
            before, moment = len(followed), carrier.submit()
            assert len(followed) == before
            assert not len(moment.mark.places)
        elif number == 0:
            carrier.deliver(0, mask, carrier.submit())
        carrier.claims([0])
    assert len(moment.mark.places)
    carrier.deliver(0, mask, moment)
    for number in range(last + 4, last + 8):
        carrier.advance(FrameImages(image), number * PERIOD_NS)
        found = drawn(carrier, 0)
    assert overlap(found, mask) > 0.85
