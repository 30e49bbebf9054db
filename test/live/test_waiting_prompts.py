from prompts import prompts

from samlite_ros.live import waiting_prompts
from samlite_ros.live.waiting_prompts import MOST_AT_ONCE, DistinctPrompts, WaitingPrompts


def test_as_many_go_at_once_as_clients_should_wait_for():
    waiting = WaitingPrompts()
    assert waiting.replace(prompts(*map(str, range(MOST_AT_ONCE + 1))))
    few = waiting.next_few()
    assert len(few) == MOST_AT_ONCE
    assert waiting.take(few, ()) == few
    assert waiting.next_few() == list(prompts(str(MOST_AT_ONCE)))


def test_only_those_that_waited_or_are_refused_are_told():
    waiting = WaitingPrompts()
    waiting.replace(prompts("cup"))
    assert waiting.take(prompts("cup", "ball", "toolong"), prompts("toolong")) == list(prompts("cup", "toolong"))
    assert waiting.next_few() == []


def test_those_that_came_later_stand_in_for_those_that_wait():
    waiting = WaitingPrompts()
    waiting.replace(prompts("cup"))
    assert not waiting.replace(())
    assert waiting.next_few() == []


def test_a_suspect_goes_first_and_alone_until_it_is_acquitted():
    waiting = WaitingPrompts()
    waiting.replace(prompts("cup", "die", "cone"))
    waiting.suspect(prompts("die", "cone", "ball"))  # nobody waits for a ball
    assert waiting.next_few() == list(prompts("die"))
    assert waiting.are_suspect(prompts("die", "cone")) and not waiting.are_suspect(prompts("ball"))
    waiting.take(waiting.next_few(), ())
    waiting.acquit(prompts("die"))
    assert waiting.next_few() == list(prompts("cone"))
    waiting.acquit_all()
    assert not waiting.has_suspects
    assert waiting.next_few() == list(prompts("cup", "cone"))


def test_phrases_without_end_are_counted_and_not_kept(monkeypatch):
    monkeypatch.setattr(waiting_prompts, "MOST_REMEMBERED", 10)
    distinct = DistinctPrompts()
    counts = [distinct.add(prompt) for prompt in prompts(*(f"thing {i // 2}" for i in range(100)))]
    assert counts[-1] == 50 and len(distinct._hashes) == 10
