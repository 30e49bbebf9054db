"""When to publish what, for a bag that is played at its own pace. Pure: whoever plays it brings the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from samlite_ros.bags.storage import RawMessage


@dataclass(frozen=True)
class PlayOptions:
    """How to play.

    Args:
        topics: To play; empty = all.
        rate: Of the recorded pace; 2 = twice as fast.
        loop: Begin again at the end, with the stamps of the beginning.
        clock_hz: Ticks of /clock per recorded second [Hz]; 0 = none.
        wait_s: Wait at most so long for the first subscriber of each topic [s].
        delay_s: Then wait so long [s]: a subscriber may be seen before it can hear.
        reliable: Offer every topic reliably, also what was recorded as best effort.

    Raises:
        ValueError: The rate is not positive, or the clock's is negative.
    """

    topics: tuple[str, ...] = ()
    rate: float = 1.0
    loop: bool = False
    clock_hz: float = 0.0
    wait_s: float = 0.0
    delay_s: float = 0.0
    reliable: bool = False

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.clock_hz < 0:
            raise ValueError(f"rate must be positive and the clock not negative, got {self.rate} and {self.clock_hz}")


class Due(NamedTuple):
    """Something to publish.

    Args:
        after_s: When, since the start [s].
        time_ns: The recorded time at that moment [ns].
        message: What; None = a tick of the clock.
    """

    after_s: float
    time_ns: int
    message: RawMessage | None


def schedule(read: Callable[[], Iterable[RawMessage]], options: PlayOptions) -> Iterator[Due]:
    """What to publish, in order; endless with `loop`.

    Args:
        read: Begins to read the messages, in recorded order; called once per round.
        options: How to play.
    """
    offset_s = 0.0
    for _ in count() if options.loop else range(1):
        due = None
        for due in _one_round(read(), options, offset_s):
            yield due
        if due is None:
            return
        offset_s = due.after_s


def _one_round(messages: Iterable[RawMessage], options: PlayOptions, offset_s: float) -> Iterator[Due]:
    """Messages and ticks; a tick at the time of the first message, then at regular recorded times."""
    start_ns: int | None = None
    tick_ns = 0
    for message in messages:
        if start_ns is None:
            start_ns = tick_ns = message.log_time_ns
        while options.clock_hz and tick_ns <= message.log_time_ns:
            yield Due(offset_s + (tick_ns - start_ns) / 1e9 / options.rate, tick_ns, None)
            tick_ns += round(1e9 / options.clock_hz)
        after_s = offset_s + max(message.log_time_ns - start_ns, 0) / 1e9 / options.rate
        yield Due(after_s, message.log_time_ns, message)
