"""`samlite bench streaming --video`: somebody's own footage is judged, and what is wrong with it is told."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from samlite_ros.bench.figures import load_report
from samlite_ros.commands.cli import main

FRAMES = 16


def write_footage(root):
    """DAVIS' layout: a textured disc and a square with it, over a textured ground, at 24 Hz."""
    rng = np.random.default_rng(1)
    ground = cv2.GaussianBlur(rng.integers(0, 256, (144, 192, 3), np.uint8), (0, 0), 2)
    skin = cv2.GaussianBlur(rng.integers(0, 256, (144, 192, 3), np.uint8), (0, 0), 1)
    for name, speed in (("slow", 1), ("fast", 4)):
        images, labels = root / "JPEGImages" / "480p" / name, root / "Annotations" / "480p" / name
        images.mkdir(parents=True), labels.mkdir(parents=True)
        for index in range(FRAMES):
            ids = np.zeros(ground.shape[:2], np.uint8)
            cv2.circle(ids, (50 + speed * index, 50), 24, 1, -1)
            ids[100:130, 20 + speed * index : 60 + speed * index] = 2
            moved = np.roll(skin, speed * index, 1)
            cv2.imwrite(str(images / f"{index:05d}.jpg"), np.where(ids[..., None] > 0, moved, ground))
            cv2.imwrite(str(labels / f"{index:05d}.png"), ids)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    root = tmp_path_factory.mktemp("footage")
    write_footage(root / "video")
    words = ["--video", str(root / "video"), "--profiles", "126", "--charge", "0"]
    assert main(["bench", "streaming", *words, "--json", str(root / "out" / "video.json")]) == 0
    return root / "out"


def test_all_ways_are_judged_per_sequence_and_in_the_mean(judged):
    figures = load_report(judged / "video.json").figures
    rows = {f.row: {} for f in figures if f.table == "footage"}
    for f in figures:
        if f.table == "footage":
            rows[f.row][f.column] = f.value
    assert list(rows) == ["126 ms, mean", "126 ms, fast", "126 ms, slow"]
    for values in rows.values():
        ious = [values[f"iou_{way}"] for way in ("ours", "peers", "flow", "points", "bound")]
        assert all(0 < iou <= 1 for iou in ious) and values["iou_peers"] < values["iou_bound"]
        assert values["error_ratio"] == pytest.approx((1 - ious[0]) / (1 - ious[1]))
    mean, fast, slow = rows.values()
    assert mean["iou_ours"] == pytest.approx((fast["iou_ours"] + slow["iou_ours"]) / 2)
    assert mean["error_ratio_points"] < 0.5
    ways = [f.row for f in figures if (f.table, f.column) == ("footage_details", "idf1")]
    assert ways == [f"126 ms, {way}" for way in ("ours", "peers", "flow", "points")]


def test_columns_are_documented(judged):
    text = (Path(__file__).resolve().parents[3] / "docs/bench_streaming.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([^`]+)`", text.partition("## The figures")[2]))
    assert {f.column for f in load_report(judged / "video.json").figures} <= named


def test_pictures(judged):
    names = {p.name for p in judged.iterdir()}
    assert {"footage.png", "footage_details.png", "footage_worst_126ms.jpg"} <= names
    assert cv2.imread(str(judged / "footage_worst_126ms.jpg")).shape[1] == 3 * 480


def test_imperfect_keyframes_and_the_rate_count(judged, tmp_path):
    video, out = judged.parent / "video", tmp_path / "out.json"
    words = ["--video", str(video), "--profiles", "126", "--charge", "0", "--border", "4", "--rate", "12"]
    assert main(["bench", "streaming", *words, "--json", str(out)]) == 0
    exact, spoilt = (
        {f.name: f.value for f in load_report(path).figures}["footage/126 ms, slow/iou_ours"]
        for path in (judged / "video.json", out)
    )
    assert spoilt < exact - 0.03


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--video", "nowhere"], "nowhere: no such folder"),
        (["--video", "VIDEO/JPEGImages"], "no images with label images"),
        (["--video", "VIDEO", "--profiles", "2000"], "ends before the first pass"),
        (["--video", "VIDEO", "--only", "cost"], "--only: --video judges the footage"),
        (["--rate", "24"], "--rate: expected --video"),
    ],
)
def test_what_cannot_be_judged_is_told(judged, words, told, capsys, tmp_path):
    words = [w.replace("VIDEO", str(judged.parent / "video")) for w in words]
    assert main(["bench", "streaming", *words, "--json", str(tmp_path / "out.json")]) == 1
    out, err = capsys.readouterr()
    assert told in out + err


def test_a_bag_with_truth(tmp_path, capsys):
    bag = str(tmp_path / "bag")
    assert main(["make-bag", bag, "--frames", "16", "--size", "160x120", "--rate", "24"]) == 0
    words = ["--video", bag, "--profiles", "126", "--charge", "0", "--json", str(tmp_path / "out.json")]
    assert main(["bench", "streaming", *words]) == 0
    values = {f.name: f.value for f in load_report(tmp_path / "out.json").figures}
    assert values["footage/126 ms, bag/iou_ours"] > values["footage/126 ms, bag/iou_peers"]
    (tmp_path / "bag" / "truth.json").unlink()
    assert main(["bench", "streaming", *words]) == 1
    assert "expected --truth" in capsys.readouterr().err
