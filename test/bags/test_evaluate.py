"""Results against truth: the measures of whole replays; the measures themselves are in test/evaluation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bag_world import (
    Recording,
    coco_truth,
    colour_segmenter,
    write_recording,
)
from judged_replays import NUMBERS, dump, overall
from replays import PHRASES
from rosbags.rosbag2 import Writer

from samlite_ros.bags.message_types import SEGMENTATION
from samlite_ros.commands.cli import main
from samlite_ros.errors import BagError
from samlite_ros.evaluation.evaluate import EvaluateOptions, evaluate_bag
from samlite_ros.evaluation.evaluation import EvaluationOptions
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions
from samlite_ros.virtual.latency import LatencyProfile


def test_exact_result_is_perfect(results: dict[str, Path], truth: Path) -> None:
    verdict = evaluate_bag(results["exact"], truth, NUMBERS)
    for name in ("precision", "recall", "mean_iou", "ap", "cgf1", "pmf1", "il_mcc", "streaming_iou", "j", "f"):
        assert overall(verdict)[name] == pytest.approx(1, abs=1e-3), name
    assert overall(verdict)["absent_rate"] == 0
    assert overall(verdict)["absent_frames"] == 15  # green in five frames, yellow in ten
    assert overall(verdict)["answered"] == 1
    assert overall(verdict)["idf1"] is None  # nothing is tracked
    assert verdict.content["phrases_unasked"] == ["blue thing"]
    assert verdict.content["phrases"]["red thing"]["cgf1"] is None  # never absent


def test_carried_result_keeps_identities_and_tells_its_age(results: dict[str, Path], truth: Path) -> None:
    verdict = evaluate_bag(results["carried"], truth, NUMBERS)
    assert overall(verdict)["idf1"] > 0.9
    assert overall(verdict)["age_p50_ms"] == 100
    assert sum(verdict.content["age_histogram"]["counts"]) == overall(verdict)["instances_found"]


def test_streaming_iou_compares_what_stood_at_each_frame(results: dict[str, Path], truth: Path) -> None:
    """A pass takes 3 frames and then begins with the newest one before: frame 0 stands at 3, 4, 5; frame 2 at 6, 7, 8;
    frame 5 at 9. Red is 24 px wide and moves 3 px a frame."""
    verdict = evaluate_bag(results["late"], truth, NUMBERS)
    red = [(24 - shift) / (24 + shift) for shift in (9, 12, 15, 12, 15, 18, 12)]
    assert verdict.content["phrases"]["red thing"]["streaming_iou"] == pytest.approx(np.mean(red), abs=1e-6)
    green = [0, 0, 0, 0, 1]  # there from frame 5 on, stands still; first seen in frame 5
    assert verdict.content["phrases"]["green thing"]["streaming_iou"] == pytest.approx(np.mean(green), abs=1e-6)
    assert verdict.content["start_up_frames"] == 3
    assert overall(verdict)["precision"] == 1  # the frames that were answered, 0, 2, 5 and 8, are right
    assert verdict.content["answered_frames"] == 4


@pytest.mark.parametrize(("grace_ms", "shift_px"), [(4, 3), (5, 0)])
def test_grace_lets_an_answer_stand_for_its_own_frame(
    recording: Recording, tmp_path: Path, truth: Path, grace_ms: int, shift_px: int
) -> None:
    options = ReplayOptions(
        phrases=("red thing",),
        parameters=Parameters(propagate=False),
        profile=LatencyProfile(0.005, 0.0),  # published 5 ms after the frame
        result=ResultOptions(timeline=False),
    )
    replay(recording.path, tmp_path / "out", options, colour_segmenter())
    evaluation = EvaluationOptions(grace_ns=grace_ms * 1_000_000)
    verdict = evaluate_bag(tmp_path / "out", truth, EvaluateOptions(evaluation=evaluation))
    assert overall(verdict)["streaming_iou"] == pytest.approx((24 - shift_px) / (24 + shift_px), abs=1e-6)


def test_bag_without_answers_is_refused(recording: Recording, truth: Path) -> None:
    with pytest.raises(BagError, match=r"no samlite_ros/msg/Segmentation message in it; topics in this bag: /camera"):
        evaluate_bag(recording.path, truth, NUMBERS)


def test_answers_of_another_version_are_refused(tmp_path: Path, truth: Path) -> None:
    with Writer(tmp_path / "old", version=8) as bag:
        old = bag.add_connection(
            "/samlite/segmentation", SEGMENTATION, msgdef="string camera", rihs01="RIHS01_" + "0" * 64
        )
        bag.write(old, 1, b"\x00\x01\x00\x00\x01\x00\x00\x00\x00")
    with pytest.raises(BagError, match="another version of samlite_ros/msg/Segmentation"):
        evaluate_bag(tmp_path / "old", truth, NUMBERS)


def test_result_cut_short_is_judged_as_far_as_it_goes(
    results: dict[str, Path], truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(results["exact"], tmp_path / "cut")
    (file,) = (tmp_path / "cut").glob("*.mcap")
    with file.open("ab") as stream:
        stream.truncate(file.stat().st_size - 20)  # the end of the index only: every answer is still there
    (tmp_path / "cut" / "metadata.yaml").unlink()
    assert main(["evaluate", str(tmp_path / "cut"), "--truth", str(truth), "--json", str(tmp_path / "out.json")]) == 1
    assert "fault:" in capsys.readouterr().err
    assert json.loads((tmp_path / "out.json").read_text())["overall"]["recall"] == 1


def test_each_camera_is_held_against_its_own_truth(tmp_path: Path) -> None:
    write_recording(tmp_path / "in", topics=("/l", "/r"))
    options = ReplayOptions(
        image_topics=("left=/l", "right=/r"),
        phrases=PHRASES,
        parameters=Parameters(propagate=False),
        result=ResultOptions(timeline=False),
    )
    replay(tmp_path / "in", tmp_path / "out", options, colour_segmenter())
    content = coco_truth()
    unnamed = dump(tmp_path / "unnamed", content)
    with pytest.raises(BagError, match="truth knows one camera"):
        evaluate_bag(tmp_path / "out", unnamed, NUMBERS)
    for image in list(content["images"]):
        image["camera"] = "left"
        content["images"].append({**image, "id": image["id"] + 100, "camera": "right"})
    verdict = evaluate_bag(tmp_path / "out", dump(tmp_path / "named", content), EvaluateOptions(tmp_path / "report"))
    assert overall(verdict)["recall"] == 1
    assert overall(verdict)["precision"] == 0.5  # nothing is to be seen by the right camera
    assert {f["camera"] for f in verdict.content["frames"] if f["error"]} == {"right"}
