"""The robot without torch: ROS 2 from wheels and ONNX Runtime alone, installed anew, asked over DDS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import golden
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from graph import graph

from samlite_ros.demo.make_bag import make_bag
from samlite_ros.scenes import render_scene
from samlite_ros.scenes.vocabulary import Meaning

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.environ.get("ROS_DISTRO") != "jazzy", reason="made from the wheels of Jazzy"),
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without torch, as the Makefile's are made."""
    venv = tmp_path_factory.mktemp("small") / "venv"
    command = [sys.executable, "-m", "pip_ros.bootstrap", "--ros", "jazzy", "--without-torch", "--venv", str(venv)]
    subprocess.run(command, cwd=ROOT, check=True)
    return venv


def environment_of(venv: Path) -> dict[str, str]:
    path = f"{venv}/bin{os.pathsep}{os.environ['PATH']}"
    prefixes = dict.fromkeys(("VIRTUAL_ENV", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"), str(venv))
    return {"PATH": path, "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "", "LD_LIBRARY_PATH": "", **prefixes}


def samlite(venv: Path, *arguments: str) -> str:
    """Output of the command as the environment has it."""
    environment = os.environ | environment_of(venv)
    done = subprocess.run(
        [str(venv / "bin/samlite"), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_no_torch(small: Path) -> None:
    command = [str(small / "bin/python3"), "-m", "pip", "list", "--format", "json"]
    names = {package["name"].lower() for package in json.loads(subprocess.check_output(command, text=True))}
    assert "onnxruntime" in names and not {"torch", "transformers", "onnx"} & names


def test_segment_replay_and_evaluate(small: Path, demo_export: Path, tmp_path: Path) -> None:
    scene = render_scene(1)
    cv2.imwrite(str(tmp_path / "scene.png"), scene.image[..., ::-1])
    answers = samlite(small, "segment", str(tmp_path / "scene.png"), "object", "--json", "--model", str(demo_export))
    assert len(json.loads(answers)[0]["instances"]) == len(scene.objects)
    make_bag(tmp_path / "in", golden.BAG)
    asked = ("--query", ",".join(golden.PHRASES), "--model", str(demo_export), "-o", str(tmp_path / "out"))
    samlite(small, "replay", str(tmp_path / "in"), *asked)
    report = tmp_path / "report.json"
    samlite(small, "evaluate", str(tmp_path / "out"), "--truth", str(golden.PATH), "--json", str(report))
    assert json.loads(report.read_text())["overall"]["recall"] == 1


def test_the_node_answers_over_dds(small: Path, demo_export: Path) -> None:
    scene = render_scene(1, (120, 160))
    phrase = Meaning(scene.objects[0].colour, scene.objects[0].shape).plain_phrase
    command = [str(small / "lib/samlite_ros/samlite_node")]
    options = {"parameters": {"model": str(demo_export), "propagate": False}, "environment": environment_of(small)}
    with graph(command, **options) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.query("asked", phrase)
        client.wait_until_active("asked")
        client.wait_for_diagnostic(
            "network", lambda _, values: values["computes"].startswith("cpu, fp32, ONNX Runtime")
        )
        (result,) = client.answer_to(scene.image, answers).results
        assert result.query_id == "asked" and result.presence > 0.5


def test_without_an_export_it_says_what_to_type(small: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "scene.png"), render_scene(1).image)
    environment = os.environ | environment_of(small)
    command = [str(small / "bin/samlite"), "segment", str(tmp_path / "scene.png"), "object"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "`samlite export demo` makes one" in done.stderr, done.stderr
