"""Work ahead and behind: in order, bounded, and errors reach whoever waits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from samlite_ros.bags.prefetch import Background, Prefetch

DEADLINE_S = 20


def test_prefetch_keeps_the_order() -> None:
    with Prefetch(iter(range(100)), depth=3) as items:
        assert list(items) == list(range(100))


def test_prefetch_runs_ahead_but_not_far() -> None:
    made: list[int] = []
    ahead = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 4:
                ahead.set()
            yield number

    with Prefetch(numbers(), depth=4):
        assert ahead.wait(DEADLINE_S)  # without anybody reading
        assert len(made) <= 6  # four wait, one more is held by the thread
    assert len(made) < 100  # leaving ends the thread


def test_error_of_the_iterator_reaches_the_reader_after_the_items() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("unplugged")

    got = []
    with pytest.raises(OSError, match="unplugged"), Prefetch(broken()) as items:
        for item in items:
            got.append(item)
    assert got == [1]


class Collector:
    def __init__(self, fail_at: int | None = None) -> None:
        self.items: list[int] = []
        self.threads: set[int] = set()
        self.closed = False
        self._fail_at = fail_at

    @contextmanager
    def open(self) -> Iterator[Collector]:
        self.threads.add(threading.get_ident())
        yield self
        self.closed = True

    def write(self, item: int) -> None:
        self.threads.add(threading.get_ident())
        if item == self._fail_at:
            raise OSError("disk full")
        self.items.append(item)


def test_background_writes_all_in_order_on_one_other_thread() -> None:
    collector = Collector()
    with Background(collector.open, depth=2) as sink:
        for number in range(50):
            sink.put(number)
    assert collector.items == list(range(50))
    assert collector.closed
    assert len(collector.threads) == 1
    assert threading.get_ident() not in collector.threads


def test_error_of_the_sink_reaches_whoever_puts() -> None:
    collector = Collector(fail_at=3)
    with pytest.raises(OSError, match="disk full"), Background(collector.open, depth=2) as sink:
        for number in range(50):
            sink.put(number)
    assert collector.items == [0, 1, 2]


def test_error_of_the_sink_that_was_dealt_with_is_not_raised_again() -> None:
    collector = Collector(fail_at=0)
    with Background(collector.open, depth=2) as sink, contextlib.suppress(OSError):
        for number in range(50):
            sink.put(number)


def test_sink_that_cannot_be_opened_is_an_error_at_once() -> None:
    def refuse() -> None:
        raise OSError("no such folder")

    with pytest.raises(OSError, match="no such folder"):
        Background(refuse)
