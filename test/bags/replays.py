"""What the tests of replay share: its options, its answers, and bags with something wrong."""

from __future__ import annotations

from pathlib import Path

from bag_world import (
    write_recording,
)
from test_reader import cut

from samlite_ros.bags.results import RecordedAnswer, ResultBag
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions
from samlite_ros.replay.result_writer import ResultOptions

PHRASES = ("red thing", "green thing", "yellow thing")


def answers_of(path: Path) -> list[RecordedAnswer]:
    with ResultBag(path) as bag:
        answers = list(bag.answers())
        assert not bag.reader.faults
    return answers


def keyframes_only(**more: object) -> ReplayOptions:
    values: dict = {
        "phrases": PHRASES,
        "parameters": Parameters(propagate=False),
        "result": ResultOptions(timeline=False),
        **more,
    }
    return ReplayOptions(**values)


def damage_cut(path: Path) -> None:
    write_recording(path, frames=60)
    cut(path)


def damage_order(path: Path) -> None:
    write_recording(path, frames=60, order=[*range(1, 60), 0])
