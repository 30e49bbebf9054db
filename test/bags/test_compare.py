"""Two results of one recording: where they differ, and where they do not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from bag_world import (
    Recording,
    colour_segmenter,
    stamp_of,
    write_recording,
)
from replays import PHRASES

from samlite_ros.commands.cli import main
from samlite_ros.errors import BagError
from samlite_ros.evaluation.compare import compare
from samlite_ros.evaluation.compare import to_json as comparison_to_json
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions
from samlite_ros.virtual.latency import LatencyProfile


def test_compare_tells_of_a_damaged_result(
    results: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(results["exact"], tmp_path / "cut")
    (storage,) = (tmp_path / "cut").glob("*.mcap")
    storage.write_bytes(storage.read_bytes()[:-2000])
    assert main(["compare", str(results["exact"]), str(tmp_path / "cut")]) == 1
    assert "fault: " in capsys.readouterr().err


def test_compare_finds_where_two_results_differ(results: dict[str, Path], tmp_path: Path) -> None:
    content = comparison_to_json(compare(results["exact"], results["wrong"]))
    assert content["phrases"]["red thing"] == {
        "frames": 10,
        "only_a": 0,
        "only_b": 0,
        "mean_iou": 1.0,
        "differing_frames": 0,
    }
    assert content["phrases"]["green thing"]["only_a"] == 3
    assert content["phrases"]["yellow thing"]["only_b"] == 3
    assert [w["stamp_ns"] for w in content["worst"]] == [stamp_of(i) for i in (7, 8, 9)]
    assert main(["compare", str(results["exact"]), str(results["wrong"]), "-o", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == content
    assert cv2.imread(str(tmp_path / "out" / "worst_frames.jpg")).shape[1] == 2 * 480


def test_what_was_not_searched_yet_is_no_difference(
    recording: Recording, results: dict[str, Path], tmp_path: Path
) -> None:
    """The first pass takes until frame 3: what the frames before say of the phrase is that nothing is known."""
    options = ReplayOptions(
        phrases=("yellow thing", "blue thing"),
        parameters=Parameters(propagate=True),
        profile=LatencyProfile(0.3, 0.0),
        result=ResultOptions(timeline=False),
    )
    replay(recording.path, tmp_path / "late", options, colour_segmenter())
    replay(recording.path, tmp_path / "exact", replace(options, profile=LatencyProfile(0.0, 0.0)), colour_segmenter())
    content = comparison_to_json(compare(tmp_path / "exact", tmp_path / "late"))
    assert content["frames"] == 10
    assert content["phrases"]["blue thing"]["frames"] == 7
    assert content["phrases"]["blue thing"]["only_a"] == 0


def test_a_result_equals_itself(results: dict[str, Path], tmp_path: Path) -> None:
    content = comparison_to_json(compare(results["exact"], results["exact"]))
    assert (content["agreement"], content["worst"]) == (1.0, [])


def test_results_of_other_frames_cannot_be_compared(results: dict[str, Path], tmp_path: Path) -> None:
    write_recording(tmp_path / "in", frames=11, order=[10])
    replay(tmp_path / "in", tmp_path / "out", ReplayOptions(phrases=PHRASES), colour_segmenter())
    with pytest.raises(BagError, match="no answered frame in common"):
        compare(results["exact"], tmp_path / "out")


def test_images_are_taken_from_whichever_result_has_them(
    recording: Recording, results: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ReplayOptions(phrases=PHRASES, parameters=Parameters(propagate=False))
    replay(recording.path, tmp_path / "plain", options, colour_segmenter())  # holds no images
    out = tmp_path / "out"
    words = ["compare", str(tmp_path / "plain"), str(results["wrong"]), "-o", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"report and pictures: {out}" in said and "grey" not in said
    with_images = cv2.imread(str(out / "worst_frames.jpg"))
    assert main([*words, "--images", str(recording.path)]) == 0
    assert (cv2.imread(str(out / "worst_frames.jpg")) == with_images).all()
    assert main(["compare", str(tmp_path / "plain"), str(tmp_path / "plain"), "-o", str(out)]) == 0
    assert "grey" not in capsys.readouterr().out
    assert main([*words, "--images", str(tmp_path / "plain")]) == 0
    assert "3 frames are drawn on grey, their images are not there: --images BAG" in capsys.readouterr().out
