"""Which phrases a pass decodes where the time for decoding has a limit: by priority, and by how long each has waited.

No clock and no threads: the outcome follows from what was asked, planned and learnt, in their order.

A phrase of priority `EVERY_PASS` or more is in every pass. Each of the others has a deadline, counted in passes: its
last turn plus its period, which is shorter the higher its priority; one that was never decoded is due at once. The
earliest deadlines are decoded first, as many as the rest of the budget pays for, at least one. So nothing starves: a
phrase waits for its period at most, and then for a turn of each other phrase, since whatever was decoded after its
deadline, or was asked after it, comes behind it (`Budget.wait_passes`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from samlite_ros.types import Prompt

EVERY_PASS = 3
"""Phrases of this priority and more are in every pass."""
LEAST_PRIORITY = -4
"""Lower priorities count as this one."""
LEARNT = 0.3
"""Weight of the newest measurement of what a phrase costs."""
ROUNDING = 1e-9
"""Sums are this much off [s, passes]."""
MOST_GROWTH = 2.0
"""A measurement counts as so many times what was expected at most: others may have held the machine up."""


class DecodeCosts:
    """What decoding each phrase takes, learnt from passes [s]; one that was never decoded takes what others do.

    What the first pass took holds until the second: everything was done for the first time, and a phrase whose turn
    comes seldom would keep the price for long.
    """

    def __init__(self) -> None:
        self._known: dict[Prompt, float] = {}
        self._passes = 0

    @property
    def are_known(self) -> bool:
        """Something was learnt."""
        return bool(self._known)

    def learn(self, took_s: Mapping[Prompt, float]) -> None:
        """By phrase what decoding it took in a pass [s]."""
        if not took_s:
            return
        self._passes += 1
        if self._passes == 2:
            self._known = {}
        for prompt, now_s in took_s.items():
            before_s = self._known.get(prompt)
            if before_s is None or now_s < before_s / MOST_GROWTH:  # what was known was of a pass that was held up
                self._known[prompt] = now_s
            else:
                bounded_s = min(now_s, MOST_GROWTH * before_s) if before_s > 0 else now_s
                self._known[prompt] = (1 - LEARNT) * before_s + LEARNT * bounded_s

    def of(self, prompts: Iterable[Prompt]) -> dict[Prompt, float]:
        """By phrase what it takes [s]."""
        usual_s = sum(self._known.values()) / len(self._known) if self._known else 0.0
        return {prompt: self._known.get(prompt, usual_s) for prompt in prompts}

    def keep_only(self, prompts: Collection[Prompt]) -> None:
        """Forget the others, unless nothing would be known any more."""
        kept = {prompt: cost_s for prompt, cost_s in self._known.items() if prompt in prompts}
        self._known = kept or dict(list(self._known.items())[:1])


@dataclass(frozen=True)
class BudgetLoad:
    """What is asked of a budget.

    Args:
        budget_s: What a pass may take for decoding [s].
        phrases: How many are asked for.
        always: How many of them are in every pass.
        all_s, always_s: What it takes to decode all of them, and those in every pass [s].
        dearest_s: What the dearest of the others takes [s].
    """

    budget_s: float = 0.0
    phrases: int = 0
    always: int = 0
    all_s: float = 0.0
    always_s: float = 0.0
    dearest_s: float = 0.0

    @property
    def overload(self) -> str:
        """What is more than the budget pays for, in words; empty = nothing."""
        budget = f"decode_budget is {1e3 * self.budget_s:.0f} ms"
        if self.always_s > self.budget_s:
            what = f"the {self.always} phrases of priority {EVERY_PASS} and more take {1e3 * self.always_s:.0f} ms"
            return f"{budget}, {what} in every pass"
        if self.dearest_s > self.budget_s - self.always_s:
            beside = f" beside {1e3 * self.always_s:.0f} ms for priority {EVERY_PASS} and more" if self.always else ""
            return (
                f"{budget}, one phrase takes {1e3 * self.dearest_s:.0f} ms{beside}: each pass decodes one nevertheless"
            )
        return ""


class Budget:
    """Takes turns among the phrases of one camera.

    Args:
        budget_s: What a pass may take for decoding [s].

    Attributes:
        costs: What phrases cost.
        load: What is asked of it, as of the last plan.
    """

    def __init__(self, budget_s: float) -> None:
        self.budget_s = budget_s
        self.costs = DecodeCosts()
        self.load = BudgetLoad(budget_s)
        self._pass = 0
        self._deadlines: dict[Prompt, int] = {}
        self._periods: dict[Prompt, int] = {}
        self._waits: dict[Prompt, int] = {}

    def ask(self, prompts: Collection[Prompt]) -> None:
        """These are asked for from now on: others are forgotten, and new ones are due at once."""
        self._deadlines = {prompt: self._deadlines.get(prompt, self._pass) for prompt in prompts}
        self._waits = {prompt: wait for prompt, wait in self._waits.items() if prompt in self._deadlines}
        self.costs.keep_only(self._deadlines.keys())

    def wait_passes(self, prompt: Prompt) -> int:
        """Of so many passes in a row at least one decodes it, as things stand; 1 = each does."""
        return self._waits.get(prompt, 1)

    def period_passes(self, prompt: Prompt) -> int:
        """One of so many passes decodes it, usually; 1 = each does."""
        return self._periods.get(prompt, 1)

    def plan(self, due: Mapping[Prompt, int], asked: Mapping[Prompt, int]) -> list[Prompt]:
        """The phrases that the next pass decodes.

        Args:
            due: By phrase the priority, of those that may be decoded now.
            asked: The same of all that are asked for.
        """
        self._pass += 1
        costs = self.costs.of(asked)
        self._weigh(asked, costs)
        self._hasten()
        chosen = [prompt for prompt, priority in due.items() if priority >= EVERY_PASS]
        left_s = self.budget_s - sum(costs[prompt] for prompt in chosen)
        turn = sorted((p for p in due if due[p] < EVERY_PASS), key=lambda p: (self._deadline(p), -due[p]))
        taken = self._affordable(turn, costs, left_s)
        self._take(taken, asked, costs)
        return chosen + taken

    def plan_new(self, new: Mapping[Prompt, int], asked: Mapping[Prompt, int], left_s: float) -> list[Prompt]:
        """Phrases that were never decoded, to decode on an image that is embedded already, which is no pass.

        Args:
            new: By phrase the priority.
            asked: The same of all that are asked for.
            left_s: What they may take [s]; nothing is decoded where that is used up.
        """
        if left_s <= 0:
            return []
        costs = self.costs.of(asked)
        self._weigh(asked, costs)
        taken = self._affordable(sorted(new, key=lambda p: -new[p]), costs, left_s)
        self._take([p for p in taken if asked[p] < EVERY_PASS], asked, costs)
        return taken

    def cost_s(self, prompts: Iterable[Prompt]) -> float:
        """What decoding these takes [s]; all there is where nothing is known yet."""
        return sum(self.costs.of(prompts).values()) if self.costs.are_known else self.budget_s

    def give_back(self, prompts: Iterable[Prompt]) -> None:
        """These were not decoded after all: they are due at once."""
        for prompt in prompts:
            if prompt in self._deadlines:
                self._deadlines[prompt] = min(self._deadlines[prompt], self._pass)

    def _hasten(self) -> None:
        """What gained priority, or has less to wait for, does not keep the deadline that it had before."""
        for prompt, period in self._periods.items():
            self._deadlines[prompt] = min(self._deadline(prompt), self._pass + period)

    def _deadline(self, prompt: Prompt) -> int:
        return self._deadlines.setdefault(prompt, self._pass)

    def _affordable(self, turn: Sequence[Prompt], costs: Mapping[Prompt, float], left_s: float) -> list[Prompt]:
        """The first of them that fit, in their order, at least one; only one where no cost is known."""
        taken = list(turn[:1])
        left_s -= sum(costs[prompt] for prompt in taken)
        for prompt in turn[1:] if self.costs.are_known else ():
            left_s -= costs[prompt]
            if left_s < -ROUNDING:
                break
            taken.append(prompt)
        return taken

    def _take(self, taken: Iterable[Prompt], asked: Mapping[Prompt, int], costs: Mapping[Prompt, float]) -> None:
        round_passes = self._round_passes(asked, costs)
        for prompt in taken:
            self._deadlines[prompt] = self._pass + _period(round_passes, asked[prompt])

    def _round_passes(self, asked: Mapping[Prompt, int], costs: Mapping[Prompt, float]) -> float:
        """Period of a phrase of weight 1 [passes], so that the periods of all together are what the budget pays for."""
        left_s = self._left_s(asked, costs)
        return sum(
            _weight(priority) * (min(costs[prompt] / left_s, 1.0) if left_s > 0 else 1.0)
            for prompt, priority in asked.items()
            if priority < EVERY_PASS
        )

    def _left_s(self, asked: Mapping[Prompt, int], costs: Mapping[Prompt, float]) -> float:
        """What is left beside the phrases that are in every pass [s]."""
        return self.budget_s - sum(costs[p] for p, priority in asked.items() if priority >= EVERY_PASS)

    def _weigh(self, asked: Mapping[Prompt, int], costs: Mapping[Prompt, float]) -> None:
        """Note what is asked, and how long everybody waits with that."""
        left_s, round_passes = self._left_s(asked, costs), self._round_passes(asked, costs)
        others = [costs[p] for p, priority in asked.items() if priority < EVERY_PASS]
        always_s = self.budget_s - left_s
        self.load = BudgetLoad(
            self.budget_s,
            len(asked),
            len(asked) - len(others),
            always_s + sum(others),
            always_s,
            max(others, default=0.0),
        )
        turns = turns_for_all(others, left_s) if self.costs.are_known else len(others)
        waiting = {p: priority for p, priority in asked.items() if turns > 1 and priority < EVERY_PASS}
        self._periods = {p: _period(round_passes, priority) for p, priority in waiting.items()}
        self._waits = {p: period + turns for p, period in self._periods.items()}


def turns_for_all(costs_s: Sequence[float], left_s: float) -> int:
    """How many passes decode all of some phrases once, whatever their order.

    Args:
        costs_s: What each takes [s].
        left_s: What a pass has for them [s]; it decodes one at least.
    """
    if not costs_s:
        return 0
    dearest_s = max(costs_s)
    if dearest_s > left_s:
        return len(costs_s)
    if sum(costs_s) <= left_s + ROUNDING:
        return 1
    by_count = math.ceil(len(costs_s) / math.floor(left_s / dearest_s + ROUNDING))
    by_sum = math.floor(2 * sum(costs_s) / left_s) + 1  # two passes in a row take more than one budget
    return min(by_count, by_sum)


def _weight(priority: int) -> float:
    """A phrase has twice the turns of one of the next lower priority."""
    return 2.0 ** max(priority, LEAST_PRIORITY)


def _period(round_passes: float, priority: int) -> int:
    return max(math.ceil(round_passes / _weight(priority) - ROUNDING), 1)
