"""When a bag's messages and the ticks of its clock are due."""

from __future__ import annotations

from itertools import islice

import pytest

from samlite_ros.bags.storage import RawMessage
from samlite_ros.play.schedule import PlayOptions, schedule

MESSAGES = [RawMessage("/a", "t", 10_000_000_000 + ms * 1_000_000, bytes([i])) for i, ms in enumerate((0, 100, 250))]


def due(options: PlayOptions, count: int = 100) -> list[tuple[float, int, int | None]]:
    """(when [ms], recorded time since the start [ms], which message or None for a tick)."""
    items = islice(schedule(lambda: iter(MESSAGES), options), count)
    return [
        (round(d.after_s * 1e3), (d.time_ns - 10_000_000_000) // 1_000_000, d.message and d.message.data[0])
        for d in items
    ]


@pytest.mark.parametrize(("rate", "times_ms"), [(1.0, [0, 100, 250]), (2.0, [0, 50, 125]), (0.5, [0, 200, 500])])
def test_messages_keep_their_distances(rate: float, times_ms: list[int]) -> None:
    assert due(PlayOptions(rate=rate)) == list(zip(times_ms, (0, 100, 250), (0, 1, 2), strict=True))


def test_loop_begins_again_with_the_stamps_of_the_beginning() -> None:
    assert due(PlayOptions(loop=True), 5) == [(0, 0, 0), (100, 100, 1), (250, 250, 2), (250, 0, 0), (350, 100, 1)]


def test_clock_ticks_in_recorded_time() -> None:
    ticks = [item for item in due(PlayOptions(rate=2.0, clock_hz=10)) if item[2] is None]
    assert ticks == [(0, 0, None), (50, 100, None), (100, 200, None)]
    assert due(PlayOptions(clock_hz=10))[0] == (0, 0, None)  # the time is known before the first message


def test_empty_bag_ends_also_in_a_loop() -> None:
    assert list(schedule(lambda: iter(()), PlayOptions(loop=True))) == []


@pytest.mark.parametrize("options", [{"rate": 0.0}, {"rate": -1.0}, {"clock_hz": -1.0}])
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="rate must be positive"):
        PlayOptions(**options)
