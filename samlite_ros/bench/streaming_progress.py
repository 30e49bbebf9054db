"""What a long measurement still has to do, and how long that will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tqdm import tqdm

QUIET_S = 10.0
"""Where the output is no terminal, a line at most so often [s]."""


@dataclass(frozen=True)
class Step:
    """One piece of work.

    Args:
        text: What it is, for whoever waits.
        about_s: About how long it takes on an idle core [s]; only its share of all steps matters.
        run: Does it.
    """

    text: str
    about_s: float
    run: Callable[[], None]


Follow = Callable[[Step, float, float], None]
"""Told each step before it begins, with what is done and what there is in all, as `about_s` counts."""


def perform(steps: list[Step], follow: Follow) -> None:
    """Run steps one after the other; each is taken off the list, and let go when it is done with all that it holds."""
    total_s, done_s = sum(s.about_s for s in steps), 0.0
    while steps:
        step = steps.pop(0)
        follow(step, done_s, total_s)
        step.run()
        done_s += step.about_s


class ProgressBar:
    """A bar with the time left on stderr; lines now and then where that is no terminal."""

    def __init__(self) -> None:
        self._begins_s = time.monotonic()
        self._last_s = float("-inf")
        shape = "{percentage:3.0f} % {bar:24} {elapsed} gone, {remaining} left  {desc}"
        self._bar = tqdm(bar_format=shape, disable=not sys.stderr.isatty(), file=sys.stderr)

    def __call__(self, step: Step, done_s: float, total_s: float) -> None:
        """See `Follow`."""
        self._bar.total = total_s
        self._bar.set_description_str(step.text, refresh=False)
        self._bar.n = done_s
        self._bar.refresh()
        if self._bar.disable:
            self._tell(step, done_s, total_s)

    def close(self) -> None:
        """All is done."""
        self._bar.n = self._bar.total or 0
        self._bar.set_description_str("done")
        self._bar.close()

    def _tell(self, step: Step, done_s: float, total_s: float) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s < QUIET_S:
            return
        self._last_s, gone_s = now_s, now_s - self._begins_s
        left = f", about {gone_s * (total_s / done_s - 1):.0f} s left" if done_s else ""
        print(f"[{gone_s:4.0f} s{left}] {step.text}", file=sys.stderr, flush=True)  # noqa: T201 - it is what it is for
