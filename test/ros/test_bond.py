"""The bond, against the other side as bondcpp is: a stand-in for the package and for the topic between."""

from types import SimpleNamespace

import pytest

from samlite_ros.node import bond
from samlite_ros.node.bond import FAREWELL_S, HEARTBEAT_TIMEOUT_S, Bond

PERIOD_S = 0.1
FIELDS = ("id", "instance_id", "active", "heartbeat_timeout", "heartbeat_period")


class Status:
    """bond/msg/Status."""

    def __init__(self, **fields):
        assert set(fields) <= set(FIELDS)
        self.header = SimpleNamespace(stamp=None)
        self.__dict__.update(fields)


class Manager:
    """The topic and the other side of the bond on it; nothing but what bondcpp looks at: id, instance, active."""

    def __init__(self, name="samlite"):
        self.name, self.came = name, []
        self._callback = None

    def publisher(self, topic):
        assert topic.name == "bond"
        return SimpleNamespace(publish=self._take)

    def subscription(self, topic, callback):
        self._callback = callback

    def _take(self, status):
        self.came.append(status)
        self._callback(status)  # who publishes hears itself

    def say(self, active=True, name=None):
        self._callback(Status(id=name or self.name, instance_id="manager's", active=active))


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(bond, "message_class", lambda name: Status)
    monkeypatch.setattr(bond, "time_message", lambda *_: None)
    manager, lines = Manager(), []
    return manager, Bond(manager, "samlite", PERIOD_S, lambda: 0, lines.append, lines.append), lines


def run(subject, began_s, seconds):
    now_s = began_s
    while now_s < began_s + seconds:
        subject.beat(now_s)
        now_s += 0.1
    return now_s


def test_heartbeats_while_active_and_none_before(world):
    manager, subject, _ = world
    run(subject, 0.0, 1.0)
    assert manager.came == []
    subject.form(1.0)
    run(subject, 1.0, 1.0)
    assert 9 <= len(manager.came) <= 11
    first = manager.came[0]
    assert (first.id, first.active) == ("samlite", True)
    assert (first.heartbeat_timeout, first.heartbeat_period) == (HEARTBEAT_TIMEOUT_S, PERIOD_S)
    assert len({status.instance_id for status in manager.came}) == 1


def test_the_end_is_said_until_the_manager_says_so_too(world):
    manager, subject, _ = world
    subject.form(0.0)
    now_s = run(subject, 0.0, 0.5)
    manager.came.clear()
    subject.end(now_s)
    now_s = run(subject, now_s, 0.5)
    assert manager.came
    assert not any(status.active for status in manager.came)
    manager.say(active=False)
    count = len(manager.came)
    run(subject, now_s, 1.0)
    assert len(manager.came) == count


def test_the_end_is_not_said_for_ever(world):
    manager, subject, _ = world
    subject.form(0.0)
    subject.end(0.1)
    now_s = run(subject, 0.1, FAREWELL_S + 1.0)
    count = len(manager.came)
    run(subject, now_s, 1.0)
    assert 0 < count == len(manager.came)


def test_a_bond_that_is_formed_again_is_another_instance(world):
    manager, subject, _ = world
    for began_s in (0.0, 10.0):
        subject.form(began_s)
        run(subject, began_s, 0.2)
        subject.end(began_s + 0.2)
    assert len({status.instance_id for status in manager.came}) == 2


def test_a_manager_that_falls_silent_is_told_once_and_others_bonds_are_not_ours(world):
    manager, subject, lines = world
    subject.form(0.0)
    manager.say()
    now_s = run(subject, 0.0, 1.0)
    manager.say(name="other")
    now_s = run(subject, now_s, HEARTBEAT_TIMEOUT_S + 1.0)
    assert len(lines) == 1
    assert "silent" in lines[0]
    run(subject, now_s, 10.0)
    assert len(lines) == 1


def test_nobody_has_to_be_there(world):
    _, subject, lines = world
    subject.form(0.0)
    run(subject, 0.0, 60.0)
    assert lines == []


def test_without_the_package_it_is_said_once_and_nothing_fails(monkeypatch):
    lines = []
    subject = Bond(None, "samlite", PERIOD_S, lambda: 0, lines.append, pytest.fail)
    subject.form(0.0)
    run(subject, 0.0, 1.0)
    subject.end(1.0)
    run(subject, 1.0, 3.0)
    (line,) = lines
    assert "bond_timeout: 0.0" in line


def test_without_a_period_there_is_no_bond():
    Bond(None, "samlite", 0.0, lambda: 0, pytest.fail, pytest.fail).beat(0.0)
