"""What a long measurement still has to do, and how long that will take."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tqdm import tqdm

MOVES_S = 1.0
"""The bar moves so often within a step [s]."""
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
    """A bar with the time left on stderr; lines now and then where that is no terminal.

    Within a step it moves as fast as the steps before it let expect.
    """

    def __init__(self) -> None:
        shape = "{percentage:3.0f} % {bar:24} {elapsed} gone, {remaining} left  {desc}"
        self._bar = tqdm(bar_format=shape, disable=not sys.stderr.isatty(), file=sys.stderr)
        self._begins_s = self._step_begins_s = time.monotonic()
        self._told_s = float("-inf")
        self._done_s = self._about_s = 0.0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._mover = threading.Thread(target=self._move, name="progress bar", daemon=True)
        if not self._bar.disable:
            self._mover.start()

    def __call__(self, step: Step, done_s: float, total_s: float) -> None:
        """See `Follow`."""
        with self._lock:
            self._step_begins_s, self._done_s, self._about_s = time.monotonic(), done_s, step.about_s
            self._bar.total = total_s
            self._bar.set_description_str(step.text, refresh=False)
        self._refresh()
        if self._bar.disable:
            self._tell(step, done_s, total_s)

    def close(self) -> None:
        """No more steps."""
        self._closing.set()
        if self._mover.is_alive():
            self._mover.join()
        self._bar.close()

    def _move(self) -> None:
        while not self._closing.wait(MOVES_S):
            self._refresh()

    def _refresh(self) -> None:
        with self._lock:
            now_s = time.monotonic()
            pace = (self._step_begins_s - self._begins_s) / self._done_s if self._done_s else 1.0
            within_s = min((now_s - self._step_begins_s) / max(pace, 1e-9), 0.95 * self._about_s)
            self._bar.n = self._done_s + within_s
            self._bar.refresh()

    def _tell(self, step: Step, done_s: float, total_s: float) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s < QUIET_S:
            return
        self._told_s, gone_s = now_s, now_s - self._begins_s
        left = f", about {gone_s * (total_s / done_s - 1):.0f} s left" if done_s else ""
        print(f"[{gone_s:4.0f} s{left}] {step.text}", file=sys.stderr, flush=True)  # noqa: T201 - it is what it is for
