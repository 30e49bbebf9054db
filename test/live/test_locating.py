"""Places come when all that they need is there, in order; what does not come is not waited for."""

from dataclasses import replace

import numpy as np
import pytest
from locating_rig import STEP_NS, Rig, depth
from painted_depth import SIZE

from samlite_ros.live.locating import MOST_WAITING, Target
from samlite_ros.space.frames import Transform


@pytest.fixture
def rig(monkeypatch):
    return Rig(monkeypatch)


def test_depth_before_the_answer(rig) -> None:
    rig.depth(0)
    rig.answer(0)
    assert rig.stamps == [0] and rig.recorded == rig.sent
    assert rig.sent[0].places[0].position_m[2] == pytest.approx(1.0, abs=0.01)


def test_depth_after_the_answer_is_waited_for_in_order(rig) -> None:
    rig.answer(0)
    rig.answer(1)
    assert rig.stamps == [] and rig.locating.is_waiting
    rig.depth(0)
    assert rig.stamps == [0]
    rig.depth(1)
    assert rig.stamps == [0, 1] and not rig.locating.is_waiting
    counters = rig.companions.depth.counters
    assert (counters.matched, counters.missed, counters.late) == (2, 0, 2)


def test_depth_that_does_not_come_holds_up_nobody(rig) -> None:
    rig.answer(0)
    rig.depth(1)
    rig.answer(1)
    assert rig.stamps == [1]
    assert rig.locating.counters.without_depth == 1


def test_a_depth_camera_that_dies_is_given_up_after_a_while(rig) -> None:
    for index in range(5):
        rig.answer(index)
    rig.now_s = 1.0
    rig.answer(5)
    assert rig.stamps == [] and rig.locating.counters.without_depth == 5
    rig.depth(5)
    assert rig.stamps == [5]


def test_memory_is_bounded(rig) -> None:
    for index in range(10 * MOST_WAITING):
        rig.answer(index)
    assert len(rig.locating._waiting) <= MOST_WAITING


def test_nobody_listens_nothing_is_done(rig) -> None:
    rig.listens = False
    rig.depth(0)
    rig.answer(0)
    assert not rig.sent and not rig.locating.is_waiting
    rig.listens, rig.companions.expected = True, False
    rig.answer(0)
    assert not rig.sent and not rig.locating.is_waiting


def test_unregistered_depth_is_counted_and_said(rig) -> None:
    rig.depth(0, frame_id="infra")
    rig.answer(0)
    assert not rig.sent and rig.locating.counters.refused == 1
    assert "infra" in rig.locating.counters.last_refusal


def test_what_has_too_little_depth_is_counted(rig) -> None:
    rig.companions.put(replace(depth(0), depth=np.zeros(SIZE, np.float32)))
    rig.answer(0)
    assert rig.sent[0].places == (None,)
    assert (rig.locating.counters.things, rig.locating.counters.unmeasured) == (0, 1)


class Ways:
    """A transform that becomes known."""

    def __init__(self):
        self.known = False

    def lookup(self, target, source, stamp_ns):
        assert (target, source) == ("map", "optical")
        return Transform(np.eye(3), np.array([10.0, 0, 0])) if self.known else None


def test_a_transform_is_waited_for_then_done_without_and_used_again(monkeypatch) -> None:
    ways = Ways()
    rig = Rig(monkeypatch, Target("map", ways, 0.2))
    rig.depth(0)
    rig.answer(0)
    assert not rig.sent
    rig.now_s = 0.3
    rig.depth(1)
    assert rig.sent[0].frame_id == "optical" and rig.locating.counters.untransformed == 1
    ways.known = True
    rig.answer(1)
    assert rig.sent[1].frame_id == "map"
    assert rig.sent[1].places[0].position_m[0] == pytest.approx(10 + rig.sent[0].places[0].position_m[0], abs=0.01)


def test_what_is_only_remembered_is_found_a_few_times_a_second(rig) -> None:
    rig.shows = False
    for index in range(30):
        rig.depth(index)
        rig.answer(index)
    assert len(rig.sent) == pytest.approx(30 * STEP_NS / 200_000_000, abs=1)


def test_an_answer_that_cannot_be_published_does_not_stand_in_the_way(rig, monkeypatch) -> None:
    monkeypatch.setattr(rig, "publish_places", lambda *_: 1 / 0)
    rig.companions.put(depth(0))
    with pytest.raises(ZeroDivisionError):
        rig.answer(0)
    monkeypatch.undo()
    rig.depth(1)
    rig.answer(1)
    assert rig.stamps == [1]


def test_time_that_jumps_forgets(rig) -> None:
    rig.answer(0)
    rig.locating.clear()
    rig.depth(0)
    assert not rig.sent
