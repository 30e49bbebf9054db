"""The package as pip installs it, on a machine without ROS."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "msg", "pip_ros", "samlite_ros")
WITHOUT_ROS = "import sys; sys.modules.update(dict.fromkeys(('rclpy', 'rclpy.node', 'sensor_msgs', 'vision_msgs')))"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed package. Built from a copy: setuptools would leave build/ in the source tree."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, cwd=target)
    return target


def run_python(installed: Path, code: str) -> str:
    """Output of Python code that sees the installed package and no ROS."""
    environment = os.environ | {"PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", f"{WITHOUT_ROS}\n{code}"]
    done = subprocess.run(command, env=environment, cwd=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_library_imports_without_ros(installed: Path) -> None:
    code = "import samlite_ros.segmenter.pytorch.backend, samlite_ros.streaming.pipeline; print(samlite_ros.__file__)"
    assert Path(run_python(installed, code).strip()) == installed / "samlite_ros/__init__.py"


def test_every_module_is_installed(installed: Path) -> None:
    in_source = {file.relative_to(ROOT) for file in (ROOT / "samlite_ros").rglob("*.py")}
    assert {file.relative_to(installed) for file in (installed / "samlite_ros").rglob("*.py")} == in_source
    assert (installed / "samlite_ros/py.typed").exists()


def test_console_script_is_installed(installed: Path) -> None:
    script = [str(installed / "bin/samlite"), "--help"]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(script, env=environment, cwd=installed, capture_output=True, text=True, check=True)
    assert "segment" in done.stdout


def test_segments_with_the_installed_demo_checkpoint(installed: Path) -> None:
    image = np.full((240, 320, 3), 120, np.uint8)
    cv2.imwrite(str(installed / "grey.png"), image)
    code = "from samlite_ros.commands.cli import main; sys.exit(main(['segment', 'grey.png', 'red ball', '--json']))"
    (answer,) = json.loads(run_python(installed, code))
    assert answer["phrase"] == "red ball"
    assert answer["instances"] == []


def test_texts_of_the_messages_are_installed(installed: Path) -> None:
    code = "from samlite_ros.bags.message_types import typestore; print(*typestore().types)"
    assert "samlite_ros/msg/Segmentation" in run_python(installed, code).split()
    texts = {file.name for file in (installed / "samlite_ros/interfaces/samlite_ros").iterdir()}
    assert {file.name for file in (ROOT / "msg").iterdir()} <= texts


def test_torch_comes_with_the_extras_that_need_it_and_with_no_other(installed: Path) -> None:
    (metadata,) = installed.glob("samlite_ros-*.dist-info/METADATA")
    asked: dict[str, set[str]] = {}
    for name, extra in re.findall(
        r"^Requires-Dist: ([\w.-]+)[^;\n]*(?:;.*extra == [\"'](\w+))?", metadata.read_text(), re.M
    ):
        asked.setdefault(extra, set()).add(name)
    assert {"numpy", "safetensors"} < asked[""] and not {"torch", "transformers", "onnxruntime"} & asked[""]
    assert asked["torch"] == {"torch", "transformers"} and asked["onnx"] == {"onnxruntime", "tokenizers"}
    assert {extra for extra, names in asked.items() if "torch" in names} == {"torch", "export", "train"}
    assert asked["onnx"] | asked["torch"] < asked["export"]


def test_package_xml_and_library_agree_on_the_version() -> None:
    import samlite_ros

    assert f"<version>{samlite_ros.__version__}</version>" in (ROOT / "package.xml").read_text()
