"""`samlite demo`, shortened, by every backend that can run here."""

import json
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from samlite_ros.commands.cli import main

pytest.importorskip("rclpy", reason="it runs a ROS 2 graph")
from samlite_ros.demo import run


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_it_finds_what_is_there_and_nothing_else(demo_export: Path, tmp_path: Path, monkeypatch, backend) -> None:
    monkeypatch.setattr(run, "GALLERY_S", 1.0)
    monkeypatch.setattr(run, "WAY_MESSAGES", 3)
    model = str(demo_export) if backend == "onnx" else "demo"
    options = ["--seconds", "2", "--no-video", "--out", str(tmp_path), "--model", model, "--backend", backend]
    with patch.dict(os.environ):  # the graph's variables go with it
        assert main(["demo", *options]) == 0
    figures = json.loads((tmp_path / "demo.json").read_text())
    assert figures["model"] == model and figures["absent_outcome"] == "NOT_FOUND"
    assert figures["mean_iou"] > 0.8 and figures["precision"] > 0.9
    frames = figures["frames"]
    late = 3  # frames that were due before and came within the time
    assert 0 < frames["answered"] <= frames["published"] + late and frames["received"] > 0
    assert frames["published"] <= frames["due"] + late
    assert figures["phrase"] in figures["asked_for_pictures"] and figures["machine"]["cores"] >= 1
    assert "Traceback" not in (tmp_path / "samlite_node.log").read_text()
