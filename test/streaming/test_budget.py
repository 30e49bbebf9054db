"""The planner of a pass's decoding: nothing starves, whatever is asked, costs, comes and goes."""

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompts import prompts

from samlite_ros.streaming.budget import EVERY_PASS, Budget, turns_for_all
from samlite_ros.types import Prompt


def learn(budget, cost_s, asked):
    budget.costs.learn(dict.fromkeys(asked, cost_s))


def plans(budget, asked, count):
    """What so many passes decode."""
    budget.ask(asked)
    return [budget.plan(asked, asked) for _ in range(count)]


def longest_wait(decoded, prompt):
    """Most passes in a row up to one that decodes a prompt, the first one included."""
    passes = [0, *(n for n, plan in enumerate(decoded, 1) if prompt in plan), len(decoded) + 1]
    return max(b - a for a, b in pairwise(passes))


def test_all_are_decoded_where_the_budget_pays_for_them():
    asked = dict.fromkeys(prompts("a", "b", "c"), 0)
    budget = Budget(0.1)
    learn(budget, 0.03, asked)
    assert all(set(plan) == set(asked) for plan in plans(budget, asked, 5))
    assert [budget.wait_passes(p) for p in asked] == [1, 1, 1]
    assert budget.load.overload == ""


def test_of_equal_phrases_each_has_its_turn_as_soon_as_the_budget_allows():
    asked = dict.fromkeys(prompts(*"abcdefgh"), 0)
    budget = Budget(0.1)
    learn(budget, 0.045, asked)
    decoded = plans(budget, asked, 40)
    assert {len(plan) for plan in decoded} == {2}
    assert {longest_wait(decoded, p) for p in asked} == {4}


def test_a_higher_priority_has_twice_the_turns_and_the_highest_are_in_every_pass():
    asked = {Prompt(f"{priority} {n}"): priority for priority in range(4) for n in range(2 if priority == 3 else 20)}
    budget = Budget(0.04)
    learn(budget, 0.004, asked)
    decoded = plans(budget, asked, 700)
    turns = [sum(p in plan for plan in decoded for p, priority in asked.items() if priority == of) for of in range(4)]
    assert turns[3] == 2 * 700
    assert turns[1] / turns[0] == pytest.approx(2, abs=0.15) and turns[2] / turns[1] == pytest.approx(2, abs=0.15)
    assert all(longest_wait(decoded, p) <= budget.wait_passes(p) for p in asked)
    assert all(len(plan) <= 10 for plan in decoded)


@pytest.mark.parametrize(("before", "after"), [(-4, 2), (0, 2), (-1, 0)])
def test_a_phrase_that_gains_priority_waits_no_longer_than_that_tells(before, after):
    late, *others = prompts("late", *(f"other {n}" for n in range(30)))
    budget = Budget(0.04)
    asked = {late: before, **dict.fromkeys(others, 2)}
    learn(budget, 0.02, asked)
    budget.ask(asked)
    while late not in budget.plan(asked, asked):
        pass
    asked[late] = after
    first = budget.plan(asked, asked)
    told = budget.wait_passes(late)
    assert late in [p for plan in [first, *(budget.plan(asked, asked) for _ in range(told - 1))] for p in plan]


def test_what_becomes_cheaper_is_waited_for_no_longer_than_that_tells():
    asked = dict.fromkeys(prompts(*(f"phrase {n}" for n in range(40))), 0)
    budget = Budget(0.02)
    learn(budget, 0.02, asked)
    plans(budget, asked, 41)
    for _ in range(30):
        learn(budget, 0.002, asked)
    decoded = [budget.plan(asked, asked)]
    told = {p: budget.wait_passes(p) for p in asked}
    decoded += [budget.plan(asked, asked) for _ in range(max(told.values()))]
    assert all(any(p in plan for plan in decoded[: told[p]]) for p in asked)


def test_a_budget_for_less_than_one_phrase_decodes_one_and_says_so():
    asked = dict.fromkeys(prompts("a", "b", "c"), 0)
    budget = Budget(0.04)
    learn(budget, 0.342, asked)
    decoded = plans(budget, asked, 6)
    assert [len(plan) for plan in decoded] == [1] * 6 and {p for plan in decoded[:3] for p in plan} == set(asked)
    assert "40 ms" in budget.load.overload and "342 ms" in budget.load.overload


def test_too_much_of_high_priority_is_decoded_and_told_and_the_rest_does_not_starve():
    asked = {**dict.fromkeys(prompts(*"abcd"), 5), **dict.fromkeys(prompts("x", "y"), 0)}
    budget = Budget(0.04)
    learn(budget, 0.02, asked)
    decoded = plans(budget, asked, 4)
    assert all(len(plan) == 5 for plan in decoded)
    assert [plan[-1].text for plan in decoded] == ["x", "y", "x", "y"]
    assert "the 4 phrases of priority 3 and more take 80 ms" in budget.load.overload


def test_while_nothing_is_known_of_costs_one_is_decoded_and_a_hiccup_is_not_believed():
    asked = dict.fromkeys(prompts(*"abcdef"), 0)
    budget = Budget(0.1)
    budget.ask(asked)
    (first,) = budget.plan(asked, asked)
    budget.costs.learn({first: 0.02})
    assert len(budget.plan(asked, asked)) == 5
    budget.costs.learn({first: 0.02})
    budget.costs.learn({first: 50.0})
    assert budget.costs.of([first])[first] < 0.03


def test_what_the_first_pass_took_is_forgotten_with_the_second():
    """It did all for the first time: a phrase whose turn comes seldom took a whole pass's budget for as long."""
    slow, other = prompts("slow", "other")
    budget = Budget(0.04)
    budget.ask([slow, other])
    budget.costs.learn({slow: 0.3})
    budget.costs.learn({})
    assert budget.costs.of([slow, other]) == {slow: 0.3, other: 0.3}
    budget.costs.learn({other: 0.002})
    assert budget.costs.of([slow, other]) == {slow: 0.002, other: 0.002}


def test_a_price_of_a_pass_that_was_held_up_is_forgotten_with_the_next():
    (phrase,) = prompts("a")
    budget = Budget(0.04)
    for took_s in (0.003, 0.3, 0.003):
        budget.costs.learn({phrase: took_s})
    assert budget.costs.of([phrase]) == {phrase: 0.003}


def test_what_was_given_up_is_due_again():
    asked = dict.fromkeys(prompts(*"abcd"), 0)
    budget = Budget(0.01)
    learn(budget, 0.01, asked)
    budget.ask(asked)
    (first,) = budget.plan(asked, asked)
    budget.give_back([first])
    assert first in {p for _ in range(4) for p in budget.plan(asked, asked)}


def test_new_phrases_share_what_one_pass_may_take_and_higher_priorities_come_first():
    asked = {Prompt(f"{n}"): n % 3 for n in range(30)}
    budget = Budget(0.04)
    learn(budget, 0.01, asked)
    budget.ask(asked)
    taken = budget.plan_new(asked, asked, 0.04)
    assert [asked[p] for p in taken] == [2] * 4
    assert budget.plan_new(asked, asked, 0.0) == []


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=30), st.floats(0.0005, 3.0), st.randoms())
def test_turns_for_all_holds_whatever_the_order(costs_s, left_s, random):
    random.shuffle(costs_s)
    passes, spent_s = 1, costs_s[0]
    for cost_s in costs_s[1:]:
        if spent_s + cost_s > left_s:
            passes, spent_s = passes + 1, 0.0
        spent_s += cost_s
    assert passes <= turns_for_all(costs_s, left_s)


def draw_world(rng):
    """Phrases with priorities and costs, and how much may be spent [s]; then what comes and goes."""
    most_s = rng.choice([0.004, 0.01, 0.05])
    asked = {Prompt(f"{n}"): rng.randint(-6, 4) for n in range(rng.randint(1, 12))}
    costs = {p: rng.uniform(0.004, most_s) for p in asked}
    budget = Budget(rng.choice([0.003, 0.02, 0.06]))
    budget.costs.learn({Prompt("0"): costs[Prompt("0")]})
    return budget, most_s, asked, costs


def come_and_go(rng, number, most_s, asked, costs):
    for action in rng.choices(["add", "remove", ""], k=2):
        if action == "add" and len(asked) < 16:
            new = Prompt(f"{number} {len(asked)}")
            asked[new], costs[new] = rng.randint(-6, 4), rng.uniform(0.004, most_s)
        elif action == "remove" and len(asked) > 1:
            del asked[rng.choice(sorted(asked, key=str))]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**40))
def test_nothing_waits_longer_than_its_bound_while_others_come_go_and_cost_what_they_want(seed):
    """The bound is that of the worst that was asked at once, and of the dearest that a phrase may cost."""
    rng = Random(seed)
    budget, most_s, asked, costs = draw_world(rng)
    waited: dict[Prompt, int] = {}
    periods: dict[Prompt, int] = {}
    most_at_once, always_s = 0, 0.0
    for number in range(80):
        come_and_go(rng, number, most_s, asked, costs)
        most_at_once = max(most_at_once, len(asked))
        always_s = max(always_s, most_s * sum(priority >= EVERY_PASS for priority in asked.values()))
        budget.ask(asked)
        planned = budget.plan(asked, asked)
        assert all(p in planned for p, priority in asked.items() if priority >= EVERY_PASS)
        spent_s = sum(budget.costs.of(planned).values())
        others = [p for p in planned if asked[p] < EVERY_PASS]
        assert spent_s <= budget.budget_s + 1e-6 or len(others) <= 1
        budget.costs.learn({prompt: costs[prompt] for prompt in planned})
        each = max(1, math.floor((budget.budget_s - always_s) / most_s))
        waited = {p: 0 if p in planned else waited.get(p, 0) + 1 for p in asked}
        periods = {p: budget._deadlines[p] - budget._pass if p in planned else periods.get(p, 0) for p in asked}
        for prompt in asked:
            bound = (periods[prompt] if asked[prompt] < EVERY_PASS else 0) + math.ceil(most_at_once / each)
            assert waited[prompt] < max(bound, 1), prompt
