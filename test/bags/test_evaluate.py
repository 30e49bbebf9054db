"""Results against truth of every kind, limits, comparison; the measures themselves are in test_metrics."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pycocotools.mask as coco_mask
import pytest
from bag_world import (
    COLOURS,
    SIZE,
    Recording,
    coco_truth,
    colour_segmenter,
    draw_world,
    find_colour,
    patches_of,
    stamp_of,
    write_recording,
)
from fake_segmenter import FakeSegmenter
from rosbags.rosbag2 import Writer

from samlite_ros.bags.message_types import BAG_MESSAGES, IMAGE, LABEL_INFO, SEGMENTATION
from samlite_ros.bags.writer import BagWriter
from samlite_ros.commands.cli import main
from samlite_ros.errors import BagError, ParameterError
from samlite_ros.evaluation.compare import compare
from samlite_ros.evaluation.compare import to_json as comparison_to_json
from samlite_ros.evaluation.evaluate import EvaluateOptions, Verdict, evaluate_bag
from samlite_ros.evaluation.evaluation import EvaluationOptions
from samlite_ros.evaluation.report import parse_gate, worst_frames
from samlite_ros.messages.fill import image_message, label_info_message
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions
from samlite_ros.types import DecodeOptions, Frame, Prompt, PromptResult, Query, QueryKey, Vocabulary
from samlite_ros.virtual.latency import LatencyProfile

PHRASES = ("red thing", "green thing", "yellow thing")
NUMBERS = EvaluateOptions(worst=0)


@pytest.fixture(scope="module")
def results(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Replays of one recording: exact, carried (with tracks), late (300 ms a pass), and of a world seen wrongly."""
    folder = tmp_path_factory.mktemp("results")
    result = ResultOptions(timeline=False, images=True, label_images=True)
    options = {
        "exact": ReplayOptions(phrases=PHRASES, parameters=Parameters(propagate=False), result=result),
        "carried": ReplayOptions(phrases=PHRASES, parameters=Parameters(propagate=True), result=result),
        "late": ReplayOptions(
            phrases=PHRASES, parameters=Parameters(propagate=False), profile=LatencyProfile(0.3, 0.0), result=result
        ),
    }
    for name, chosen in options.items():
        replay(recording.path, folder / name, chosen, colour_segmenter())
    replay(recording.path, folder / "wrong", options["exact"], wrong_segmenter())
    return {name: folder / name for name in (*options, "wrong")}


def wrong_segmenter() -> FakeSegmenter:
    """Takes green for yellow, and yellow for green, in the last three frames."""
    swapped = {"green thing": Prompt("yellow thing"), "yellow thing": Prompt("green thing")}

    def find(frame: Frame, prompt: Prompt, options: DecodeOptions) -> PromptResult:
        sought = swapped.get(prompt.text, prompt) if len(wrong.embedded) > 7 else prompt
        return replace(find_colour(frame, sought, options), prompt=prompt)

    wrong = FakeSegmenter(find, "colours")
    return wrong


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(coco_truth()))
    return path


def overall(verdict: Verdict) -> dict[str, float | None]:
    return verdict.content["overall"]


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


def per_stamp_files(folder: Path) -> Path:
    whole = coco_truth()
    folder.mkdir()
    for image in whole["images"]:
        annotations = [a for a in whole["annotations"] if a["image_id"] == image["id"]]
        named = {"id": image["id"], "height": image["height"], "width": image["width"]}
        part = {"images": [named], "categories": whole["categories"], "annotations": annotations}
        (folder / f"{image['stamp_ns']}.json").write_text(json.dumps(part))
    return folder


def with_stamp_as_in_messages(folder: Path) -> Path:
    whole = coco_truth()
    for image in whole["images"]:
        sec, nanosec = divmod(image.pop("stamp_ns"), 10**9)
        image["stamp"] = {"sec": sec, "nanosec": nanosec}
    return dump(folder, whole)


def with_file_names(folder: Path) -> Path:
    whole = coco_truth()
    for image in whole["images"]:
        image["file_name"] = f"images/{image.pop('stamp_ns')}.png"
    return dump(folder, whole)


def with_compressed_runs(folder: Path) -> Path:
    whole = coco_truth()
    for annotation in whole["annotations"]:
        compressed = coco_mask.frPyObjects(annotation["segmentation"], *SIZE)
        annotation["segmentation"] = {"size": list(SIZE), "counts": compressed["counts"].decode()}
    return dump(folder, whole)


def with_polygons(folder: Path) -> Path:
    whole = coco_truth()
    for annotation in whole["annotations"]:
        pixels = coco_mask.decode(coco_mask.frPyObjects(annotation["segmentation"], *SIZE))
        x, y, w, h = cv2.boundingRect(pixels)
        annotation["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return dump(folder, whole)


def dump(path: Path, content: dict) -> Path:
    path.with_suffix(".json").write_text(json.dumps(content))
    return path.with_suffix(".json")


def label_bag(folder: Path) -> Path:
    queries = tuple(Query(QueryKey("t", c), Prompt(f"{c} thing"), n) for n, c in enumerate(COLOURS))
    with BagWriter(folder) as bag:
        bag.add_topic("/truth/label_image", IMAGE)
        bag.add_topic("/truth/label_info", LABEL_INFO)
        bag.write(
            "/truth/label_info", stamp_of(0), label_info_message(BAG_MESSAGES, Vocabulary(1, queries), stamp_of(0))
        )
        for index in range(10):
            labels = np.full(SIZE, 255, np.uint8)
            for number, colour in enumerate(COLOURS.values()):
                for mask in patches_of(draw_world(index), colour):
                    labels[mask.full()] = number
            message = image_message(BAG_MESSAGES, labels, "mono8", stamp_of(index), "")
            bag.write("/truth/label_image", stamp_of(index), message)
    return folder


@pytest.mark.parametrize(
    "make",
    [per_stamp_files, with_stamp_as_in_messages, with_file_names, with_compressed_runs, with_polygons, label_bag],
)
def test_truth_of_every_kind_says_the_same(
    results: dict[str, Path], tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    verdict = evaluate_bag(results["exact"], make(tmp_path / "truth"), NUMBERS)
    assert (overall(verdict)["recall"], overall(verdict)["precision"]) == (1, 1)
    assert overall(verdict)["mean_iou"] == pytest.approx(1, abs=1e-6)
    assert overall(verdict)["absent_frames"] == 15


def test_a_trusted_result_is_truth_too(results: dict[str, Path]) -> None:
    verdict = evaluate_bag(results["late"], results["exact"], NUMBERS)
    assert overall(verdict)["precision"] == 1
    assert verdict.content["truth_frames"] == 10


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "not COCO instances with stamps: 'categories' is missing"),
        ("[1, 2]", "not COCO instances"),
        ("no json", "not COCO instances"),
        (json.dumps({**coco_truth(), "images": [{"id": 1, "height": 2, "width": 2}]}), "neither stamp_ns nor stamp"),
        (json.dumps({"images": [], "categories": [], "annotations": []}), "no image in it"),
        (
            json.dumps({**coco_truth(), "categories": [{"id": n, "name": f"car {n}"} for n in range(1, 5)]}),
            "none is in both",
        ),
    ],
)
def test_truth_that_cannot_be_used_is_refused(
    results: dict[str, Path], tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / "truth.json").write_text(content)
    with pytest.raises(BagError, match=words):
        evaluate_bag(results["exact"], tmp_path / "truth.json", NUMBERS)


def annotation(**changes: object) -> Callable[[dict], None]:
    return lambda content: content["annotations"][0].update(changes)


def image(**changes: object) -> Callable[[dict], None]:
    return lambda content: content["images"][3].update(changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (annotation(segmentation=[[1, 1, 5, 5]]), "annotation 1: a polygon is x, y of at least three points"),
        (annotation(segmentation=[[1, 1, 5, 5, 9, 1, 3]]), "at least three points"),
        (annotation(segmentation=[["a"] * 6]), "at least three points"),
        (annotation(segmentation=[[math.nan] * 6]), "at least three points"),
        (annotation(segmentation=[]), "annotation 1: an empty list of polygons"),
        (annotation(segmentation=None), "annotation 1: a segmentation is run lengths or polygons, got None"),
        (annotation(segmentation={"size": list(SIZE)}), "a segmentation is run lengths or polygons"),
        (annotation(segmentation={"counts": [1, 2]}), "annotation 1: run lengths sum to 3"),
        (annotation(segmentation={"counts": ["a"]}), "annotation 1: invalid literal"),
        (annotation(segmentation={"counts": "garbage~"}), "compressed run lengths that cannot be read"),
        (annotation(segmentation={"size": [10, 10], "counts": "T3"}), r"run lengths of size \[10, 10\], the image is"),
        (annotation(category_id=77), "annotation 1 has the category_id 77, which there is not"),
        (annotation(image_id=77), "annotation 1 has the image_id 77, which there is not"),
        (annotation(track_id="a"), "invalid literal"),
        (image(height=90), "truth of stamp .* is of size"),
        (image(stamp_ns=1.7e18), "image 4: a float such as 1.7e\\+18 holds no stamp to the ns"),
        (image(stamp_ns="soon"), "invalid literal"),
        (image(stamp_ns=stamp_of(2), height=90), "two images of stamp"),
        (lambda content: content.update(images=5), "not COCO instances with stamps"),
        (lambda content: [i.update(camera="rl"[n % 2]) for n, i in enumerate(content["images"])],
         r"truth is of the cameras \['l', 'r'\], the answers are of \[''\]"),
    ],
)  # fmt: skip
def test_truth_with_one_thing_wrong_is_refused_in_words(
    results: dict[str, Path], tmp_path: Path, change: Callable[[dict], None], words: str
) -> None:
    content = coco_truth()
    change(content)
    with pytest.raises(BagError, match=words) as refused:
        evaluate_bag(results["exact"], dump(tmp_path / "truth", content), NUMBERS)
    assert str(tmp_path / "truth.json") in str(refused.value) or "truth of stamp" in words or "cameras" in words


def test_truth_with_an_image_per_phrase_is_one_frame(results: dict[str, Path], tmp_path: Path) -> None:
    """As SA-Co writes it: each image is about one phrase."""
    content = coco_truth()
    for place, a in enumerate(content["annotations"]):
        about = dict(next(i for i in content["images"] if i["id"] == a["image_id"]), id=1000 + place)
        content["images"].append(about)
        a["image_id"] = about["id"]
    verdict = evaluate_bag(results["exact"], dump(tmp_path / "truth", content), NUMBERS)
    assert (overall(verdict)["recall"], overall(verdict)["precision"]) == (1, 1)
    assert verdict.content["truth_frames"] == 10


def test_truth_and_result_need_not_know_the_same_frames(results: dict[str, Path], tmp_path: Path) -> None:
    content = coco_truth()
    content["images"] = [{**i, "stamp_ns": i["stamp_ns"] + 5 * (stamp_of(1) - stamp_of(0))} for i in content["images"]]
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] == 3]  # blue, which was not asked
    content["categories"].append({"id": 5, "name": "yellow thing"})
    verdict = evaluate_bag(results["exact"], dump(tmp_path / "truth", content), NUMBERS)
    assert (verdict.content["truth_frames"], verdict.content["answered_frames"]) == (10, 5)
    assert overall(verdict)["answered"] == 0.5
    assert overall(verdict)["absent_frames"] == 15  # red, green, yellow in the five frames that both know
    assert overall(verdict)["absent_answered"] == 10  # red and green are in them


def test_truth_of_other_stamps_is_refused(results: dict[str, Path], tmp_path: Path) -> None:
    content = coco_truth()
    for image in content["images"]:
        image["stamp_ns"] += 7
    (tmp_path / "truth.json").write_text(json.dumps(content))
    with pytest.raises(BagError, match="no answer has a stamp that truth knows"):
        evaluate_bag(results["exact"], tmp_path / "truth.json", NUMBERS)


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


def test_bag_that_is_no_truth_is_refused(results: dict[str, Path], recording: Recording) -> None:
    with pytest.raises(BagError, match="neither label images with LabelInfo nor Segmentation"):
        evaluate_bag(results["exact"], recording.path, NUMBERS)


def command(results: dict[str, Path], name: str, truth: Path, *more: str) -> int:
    return main(["evaluate", str(results[name]), "--truth", str(truth), "--no-contours", *more])


@pytest.mark.parametrize(
    ("name", "gate", "status"),
    [
        ("exact", "recall=0.99", 0),
        ("wrong", "recall=0.99", 1),
        ("wrong", "recall@red thing=0.99", 0),
        ("wrong", "recall@green thing=0.5", 1),
        ("wrong", "absent_rate=0.1", 1),  # less is better: fails above
        ("exact", "absent_rate=0.0", 0),
        ("exact", "idf1=0.1", 1),  # not defined: cannot be held
        ("exact", "no_such_metric=1", 1),
        ("exact", "recall@car=1", 1),
        ("exact", "recall", 1),
    ],
)
def test_limit_gives_the_exit_status(
    results: dict[str, Path],
    truth: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    gate: str,
    status: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(results, name, truth, "--fail-below", gate) == status
    assert bool(capsys.readouterr().err) == bool(status)


def test_loss_against_a_baseline_fails_with_pictures(
    results: dict[str, Path],
    truth: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    baseline, out = tmp_path / "old.json", tmp_path / "out"
    assert command(results, "exact", truth, "--json", str(baseline)) == 0
    monkeypatch.chdir(tmp_path)
    assert command(results, "wrong", truth, "--fail-below", "recall=0.9") == 1
    assert (tmp_path / "evaluation_out" / "worst_frames.jpg").exists()
    drop = ["--baseline", str(baseline), "--fail-drop", "recall=0.05", "-o", str(out)]
    assert command(results, "exact", truth, *drop) == 0
    assert not (out / "worst_frames.jpg").exists()  # no frame is wrong
    assert command(results, "wrong", truth, *drop) == 1
    assert "failed: recall went from 1 to 0.8, worse by more than 0.05" in capsys.readouterr().err
    assert command(results, "wrong", truth, "--baseline", str(baseline), "--fail-drop", "recall=0.3") == 0
    sheet = cv2.imread(str(out / "worst_frames.jpg"))
    assert sheet.shape[1] == 3 * 480  # three frames are wrong
    assert cv2.imread(str(out / "measures.png")) is not None


def test_worst_frames_are_those_that_got_worse() -> None:
    def frames(*errors: float) -> dict:
        return {"frames": [{"camera": "", "stamp_ns": i, "error": e} for i, e in enumerate(errors)]}

    assert [f[1] for f in worst_frames(frames(0, 3, 2, 1), None, 2)] == [1, 2]
    assert [f[1] for f in worst_frames(frames(0, 3, 2, 1), frames(0, 3, 0, 0.5), 2)] == [2, 3]


@pytest.mark.parametrize("text", ["recall", "=1", "recall=high", "recall@red", ""])
def test_wrong_limit_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="expected metric=value"):
        parse_gate(text)


def test_wrong_baseline_is_refused(results: dict[str, Path], truth: Path, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(BagError, match="not an evaluation written by samlite evaluate"):
        evaluate_bag(results["exact"], truth, EvaluateOptions(baseline=tmp_path / "old.json"))


@pytest.mark.parametrize(
    ("change", "limit", "words"),
    [
        (lambda c: c["overall"].pop("recall"), "recall=0.1", "the baseline knows no metric 'recall', but precision"),
        (lambda c: c["phrases"].pop("red thing"), "recall@red thing=0.1", "the baseline knows no phrase 'red thing'"),
        (lambda c: c.update(phrases=[1]), "recall=0.1", "not an evaluation written by"),
        (lambda c: c.update(overall=5), "recall=0.1", "not an evaluation written by"),
        (lambda c: c["overall"].update(recall="high"), "recall=0.1", "'high' is not a number"),
        (lambda c: c["overall"].update(recall=math.nan), "recall=0.1", "nan is not a number"),
        (lambda c: c.update(frames=[{"camera": "", "stamp_ns": 1}]), "recall=0.1", "not an evaluation written by"),
        (lambda c: c.update(frames=5), "recall=0.1", "not an evaluation written by"),
    ],
)
def test_baseline_of_another_version_is_refused_in_words(
    results: dict[str, Path], truth: Path, tmp_path: Path, change: Callable[[dict], object], limit: str, words: str
) -> None:
    content = evaluate_bag(results["exact"], truth, NUMBERS).content
    change(content)
    (tmp_path / "old.json").write_text(json.dumps(content))
    options = EvaluateOptions(baseline=tmp_path / "old.json", fail_drop=(parse_gate(limit),), worst=0)
    with pytest.raises(BagError, match=words):
        evaluate_bag(results["exact"], truth, options)


def test_baseline_with_fewer_measures_is_compared_in_those_it_has(
    results: dict[str, Path], truth: Path, tmp_path: Path
) -> None:
    content = evaluate_bag(results["exact"], truth, NUMBERS).content
    del content["overall"]["idf1"], content["phrases"]["green thing"], content["age_histogram"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    options = EvaluateOptions(baseline=tmp_path / "old.json", fail_drop=(parse_gate("recall=0.1"),), worst=0)
    assert not evaluate_bag(results["exact"], truth, options).failures
    assert evaluate_bag(results["wrong"], truth, options).failures


def test_a_limit_on_a_loss_needs_a_baseline(results: dict[str, Path], truth: Path) -> None:
    with pytest.raises(ParameterError, match="a loss of recall can be told only against a baseline"):
        evaluate_bag(results["exact"], truth, EvaluateOptions(fail_drop=(parse_gate("recall=0.1"),)))


def test_a_limit_names_its_phrase_in_any_spelling(results: dict[str, Path], truth: Path) -> None:
    options = EvaluateOptions(fail_below=(parse_gate("recall@ Red  Thing=0.9"),), worst=0)
    assert not evaluate_bag(results["exact"], truth, options).failures


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "RESULT", "--truth", "TRUTH", "--json", "/nowhere/report.json"],
        ["evaluate", "RESULT", "--truth", "TRUTH", "-o", "TRUTH"],
        ["evaluate", "RESULT", "--truth", "TRUTH", "-o", "OUT", "--image-topic", "/nothing", "--images", "RESULT"],
        ["compare", "RESULT", "WRONG", "-o", "TRUTH"],
        ["compare", "RESULT", "WRONG", "-o", "OUT", "--image-topic", "/nothing"],
    ],
)
def test_outputs_that_cannot_be_written_are_told_in_a_line(
    results: dict[str, Path], truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    names = {
        "RESULT": str(results["exact" if words[0] == "compare" else "wrong"]),
        "WRONG": str(results["wrong"]),
        "TRUTH": str(truth),
        "OUT": str(tmp_path / "out"),
    }
    assert main([names.get(word, word) for word in words]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"samlite {words[0]}: ")
    assert "\n" not in error


def test_compare_tells_of_a_damaged_result(
    results: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(results["exact"], tmp_path / "cut")
    (tmp_path / "cut" / "metadata.yaml").unlink()
    assert main(["compare", str(results["exact"]), str(tmp_path / "cut")]) == 1
    assert "fault: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "r", "--truth", "t", "--worst", "-1"],
        ["evaluate", "r", "--truth", "t", "--grace-ms", "nan"],
        ["compare", "a", "b", "--worst", "few"],
        ["make-bag", "out", "--size", "640"],
        ["make-bag", "out", "--size", "0x0"],
        ["make-bag", "out", "--frames", "0"],
        ["make-bag", "out", "--rate", "0"],
        ["make-bag", "out", "--rate", "nan"],
        ["make-bag", "out", "--jpeg", "101"],
        ["make-bag", "out", "--seed", "-1"],
        ["make-bag", "out", "--image-topic", "camera image"],
        ["play", "b", "--rate", "0"],
        ["play", "b", "--rate", "inf"],
        ["play", "b", "--clock", "-1"],
        ["play", "b", "--delay", "-1"],
        ["play", "b", "--wait", "long"],
    ],
)
def test_numbers_out_of_range_are_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "expected" in capsys.readouterr().err


def test_missing_libraries_are_named_with_the_line_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("samlite_ros.bags.dependencies.LIBRARIES", ("rosbags", "no_such_library"))
    for words in (
        ["replay", "b", "-o", "o"],
        ["evaluate", "r", "--truth", "t"],
        ["compare", "a", "b"],
        ["make-bag", "o"],
        ["play", "b"],
    ):
        assert main(words) == 1
        assert "no_such_library not installed. Type: " in capsys.readouterr().err


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


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate"]) == 2
    assert "RESULT --truth TRUTH" in capsys.readouterr().err


def test_evaluation_is_written_as_strict_json(results: dict[str, Path], truth: Path, tmp_path: Path) -> None:
    command(results, "exact", truth, "--json", str(tmp_path / "now.json"))
    text = (tmp_path / "now.json").read_text()
    assert "NaN" not in text
    assert not any(isinstance(v, float) and math.isnan(v) for v in json.loads(text)["overall"].values())
