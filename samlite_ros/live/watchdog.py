"""How long the network has been at what it does, against what that ever took: what hangs is noticed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, IntEnum

WARN_TIMES, ERROR_TIMES, END_TIMES = 3.0, 6.0, 5.0
"""So many times the longest ever is odd, is a fault, and, where it is more than the limit too, is ended."""
ASLEEP_S = 1.0
"""Where nobody looked for so long [s], the node's process itself stood still, which is not the network's fault."""


class Work(Enum):
    """What the network does; the value is its name, and what is never too long [s]: to warn, and as a fault."""

    LOAD = ("loading the model", 60.0, 180.0)
    PASS = ("a pass of the network", 1.0, 3.0)
    DECODE = ("decoding phrases", 1.0, 3.0)
    EMBED = ("embedding phrases", 2.0, 5.0)


class Severity(IntEnum):
    """How bad it is; the numbers of diagnostic_msgs."""

    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Limits:
    """What is ended after how long [s].

    Args:
        load_s: Loading.
        request_s: Any other work.
    """

    load_s: float
    request_s: float


@dataclass(frozen=True)
class Delay:
    """Something takes too long.

    Args:
        severity: How bad it is.
        message: What takes how long, in words.
        overdue: It is to be ended.
    """

    severity: Severity
    message: str
    overdue: bool = False

    def without_end(self) -> Delay:
        """The same, where nothing can end it."""
        return replace(self, message=f"{self.message}; in the node's own process it cannot be ended", overdue=False)


@dataclass
class _Running:
    work: Work
    phrases: int
    began_s: float


@dataclass
class _Longest:
    """The longest that a kind of work took, and the most phrases that it ever had."""

    took_s: float = 0.0
    phrases: int = 1
    is_guess: bool = True


class Watchdog:
    """Watches the network's calls. Thread-safe: one thread works, another looks.

    A call within a call is watched by itself, and is not counted as the outer one's time. More phrases than ever may
    take longer in proportion.

    Args:
        clock: Steady seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._running: list[_Running] = []
        self._longest: dict[Work, _Longest] = {work: _Longest() for work in Work}
        self._looked_s: float | None = None

    @contextmanager
    def watching(self, work: Work, phrases: int = 1) -> Iterator[None]:
        """This is being done meanwhile; how long it took counts where it succeeds.

        Args:
            work: What is done.
            phrases: How many it is done for.
        """
        with self._lock:
            self._running.append(_Running(work, phrases, self._clock()))
        done = False
        try:
            yield
            done = True
        finally:
            with self._lock:
                self._end(done)

    def guess(self, work: Work, took_s: float) -> None:
        """It takes about so long [s]; counts until it was really done."""
        with self._lock:
            if self._longest[work].is_guess:
                self._longest[work].took_s = took_s

    def _end(self, done: bool) -> None:
        ended = self._running.pop()
        took_s = self._clock() - ended.began_s
        for outer in self._running:
            outer.began_s += took_s
        if done:
            before = self._longest[ended.work]
            longest_s = took_s if before.is_guess else max(took_s, before.took_s)
            self._longest[ended.work] = _Longest(longest_s, max(ended.phrases, before.phrases), is_guess=False)

    def look(self, limits: Limits) -> Delay | None:
        """What takes too long now, None = nothing; to be called several times a second."""
        with self._lock:
            now_s = self._clock()
            self._forgive_sleep(now_s)
            if not self._running:
                return None
            running = self._running[-1]
            return self._judge(running, now_s - running.began_s, limits)

    def _forgive_sleep(self, now_s: float) -> None:
        slept_s = now_s - self._looked_s if self._looked_s is not None else 0.0
        self._looked_s = now_s
        if slept_s > ASLEEP_S:
            for running in self._running:
                running.began_s = min(running.began_s + slept_s, now_s)

    def _judge(self, running: _Running, for_s: float, limits: Limits) -> Delay | None:
        work, longest = running.work, self._longest[running.work]
        name, warn_s, error_s = work.value
        usual_s = longest.took_s * max(1.0, running.phrases / longest.phrases)
        limit_s = max(limits.load_s if work is Work.LOAD else limits.request_s, END_TIMES * usual_s)
        if for_s > limit_s:
            parameter = "load_timeout" if work is Work.LOAD else "network_timeout"
            return Delay(Severity.ERROR, f"{name} took more than {limit_s:g} s ({parameter})", overdue=True)
        words = f"{name} has taken {for_s:.1f} s" + (f", {longest.took_s:.1f} s at most before" if usual_s else "")
        if for_s > max(error_s, ERROR_TIMES * usual_s):
            return Delay(Severity.ERROR, words)
        if for_s > max(warn_s, WARN_TIMES * usual_s):
            return Delay(Severity.WARN, words)
        return None
