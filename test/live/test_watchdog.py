"""What takes much longer than it ever did is noticed, and ended past a bound."""

import pytest

from samlite_ros.live.watchdog import ASLEEP_S, Limits, Severity, Watchdog, Work

LIMITS = Limits(load_s=600.0, request_s=60.0)


class Clock:
    """A clock that tests set; the dog looks ten times a second meanwhile."""

    def __init__(self):
        self.now_s = 50.0
        self.dog = Watchdog(lambda: self.now_s)

    def wait(self, seconds, limits=LIMITS):
        delays = []
        for _ in range(round(10 * seconds)):
            self.now_s += 0.1
            delays.append(self.dog.look(limits))
        return delays[-1] if delays else None

    def take(self, work, seconds, phrases=1):
        with self.dog.watching(work, phrases):
            self.wait(seconds)


@pytest.fixture
def clock():
    return Clock()


def test_without_work_nothing_takes_long(clock):
    assert clock.wait(1000) is None


def test_a_pass_without_a_past_is_judged_by_the_floor(clock):
    with clock.dog.watching(Work.PASS):
        assert clock.wait(0.9) is None
        assert clock.wait(0.3).severity is Severity.WARN
        delay = clock.wait(2.0)
        assert (delay.severity, delay.overdue) == (Severity.ERROR, False)
        assert "a pass of the network has taken 3.2 s" in delay.message
        assert clock.wait(57.0).overdue
    assert clock.wait(0.1) is None


def test_a_slow_network_is_judged_by_what_it_took_before(clock):
    clock.take(Work.PASS, 20.0)
    with clock.dog.watching(Work.PASS):
        assert clock.wait(59.0) is None
        delay = clock.wait(2.0)
        assert delay.severity is Severity.WARN and "20.0 s at most before" in delay.message
        assert not clock.wait(38.0).overdue
        assert clock.wait(2.0).overdue, "five times as long as any before, and longer than the limit"


def test_what_failed_and_what_was_cancelled_is_no_measure(clock):
    with pytest.raises(KeyError), clock.dog.watching(Work.PASS):
        clock.wait(30.0)
        raise KeyError
    with clock.dog.watching(Work.PASS):
        assert clock.wait(2.0).severity is Severity.WARN


def test_a_guess_counts_until_it_was_really_done(clock):
    clock.dog.guess(Work.PASS, 10.0)
    with pytest.raises(KeyError), clock.dog.watching(Work.PASS):
        assert clock.wait(29.0) is None
        raise KeyError
    clock.take(Work.PASS, 0.1)
    clock.take(Work.PASS, 0.1)
    with clock.dog.watching(Work.PASS):
        assert clock.wait(29.5).severity is Severity.ERROR


def test_more_phrases_than_ever_may_take_longer(clock):
    clock.take(Work.DECODE, 2.0, phrases=2)
    with clock.dog.watching(Work.DECODE, 20):
        assert clock.wait(55.0) is None
    with clock.dog.watching(Work.DECODE, 2):
        pass


def test_what_is_done_within_a_pass_is_not_the_pass_s_time(clock):
    with clock.dog.watching(Work.PASS):
        clock.wait(0.5)
        with clock.dog.watching(Work.EMBED):
            assert clock.wait(2.5).message.startswith("embedding phrases")
        assert clock.wait(0.4) is None


def test_a_node_that_stood_still_blames_nobody(clock):
    clock.take(Work.PASS, 0.1)
    with clock.dog.watching(Work.PASS):
        clock.wait(0.5)
        clock.now_s += 100 * ASLEEP_S
        assert clock.dog.look(LIMITS) is None
        assert clock.wait(1.0).severity is Severity.WARN


def test_loading_has_a_bound_of_its_own(clock):
    with clock.dog.watching(Work.LOAD):
        assert clock.wait(59.0) is None
        assert clock.wait(500.0).severity is Severity.ERROR
        delay = clock.wait(50.0)
        assert delay.overdue and "load_timeout" in delay.message
        assert "cannot be ended" in delay.without_end().message
