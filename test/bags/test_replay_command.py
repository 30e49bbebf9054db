"""`samlite replay`: what it writes, tells and returns."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from bag_world import (
    TOPIC,
    Recording,
    colour_segmenter,
)
from replays import answers_of, damage_cut, damage_order
from test_reader import write_damaged_images

from samlite_ros.commands.cli import main
from samlite_ros.types import Frame


@pytest.fixture
def colours_for_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command loads the segmenter of the tests."""
    monkeypatch.setattr("samlite_ros.segmenter.load.load_segmenter", lambda options: colour_segmenter())


@pytest.mark.usefixtures("colours_for_a_network")
def test_command_replays_and_tells(recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "replay",
        str(recording.path),
        "--image-topic",
        TOPIC,
        "--query",
        "red thing",
        "-o",
        str(tmp_path / "out"),
    ]
    assert main([*arguments, "--overlay-video"]) == 0
    assert "10 answers to 10 frames" in capsys.readouterr().out
    assert {"messages.mcap", "metadata.yaml", "overlay.mp4", "summary.json", "timeline.png"} == {
        p.name for p in (tmp_path / "out").iterdir()
    }
    assert main(arguments) == 1
    assert "holds a bag already" in capsys.readouterr().err


@pytest.mark.usefixtures("colours_for_a_network")
@pytest.mark.parametrize(
    ("make", "words"),
    [(damage_cut, "ends in the middle"), (write_damaged_images, "rgb77"), (damage_order, "newer stamp")],
)
def test_command_fails_on_a_bad_bag_and_keeps_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "in")
    assert main(["replay", str(tmp_path / "in"), "--query", "red thing", "-o", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert answers_of(tmp_path / "out")


def test_command_that_is_cancelled_keeps_the_results_so_far(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cancel_at_the_fifth_frame(frame: Frame) -> Frame:
        if len(segmenter.embedded) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return frame

    segmenter = colour_segmenter(keep=cancel_at_the_fifth_frame)
    monkeypatch.setattr("samlite_ros.segmenter.load.load_segmenter", lambda options: segmenter)
    handler = signal.getsignal(signal.SIGTERM)
    assert main(["replay", str(recording.path), "--query", "red thing", "-o", str(tmp_path / "out")]) == 1
    assert "fault: interrupted after 4 of 10 frames" in capsys.readouterr().err
    assert len(answers_of(tmp_path / "out")) == 4
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.mark.usefixtures("colours_for_a_network")
def test_command_carries_masks_only_when_asked_or_late(recording: Recording, tmp_path: Path) -> None:
    def carried(name: str, *more: str) -> bool:
        arguments = ["replay", str(recording.path), "--query", "red thing", "-o", str(tmp_path / name), *more]
        assert main(arguments) == 0
        return any(i.propagated for a in answers_of(tmp_path / name) for i in a.segmentation.instances)

    assert not carried("exact")
    assert carried("asked", "--propagate")
    assert not carried("late", "--latency", "200", "--no-propagate")


@pytest.mark.usefixtures("colours_for_a_network")
def test_commas_separate_phrases_as_in_a_topic(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = ["--query", "red thing, blue thing,", "--query", "green thing"]
    assert main(["replay", str(recording.path), *queries, "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert all(f"  {colour} thing: in " in said for colour in ("red", "blue", "green"))
