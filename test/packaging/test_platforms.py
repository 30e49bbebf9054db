"""What is said of platforms is the same in the places that say it, and nothing is used that one of them lacks."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github/workflows/ci.yaml"


def matrix(job: str) -> dict[str, list[str]]:
    return yaml.safe_load(WORKFLOW.read_text())["jobs"][job]["strategy"]["matrix"]


def test_the_range_of_pythons_is_the_same_everywhere() -> None:
    told = re.search(
        r"OLDEST_PYTHON, NEWEST_PYTHON = \(3, (\d+)\), \(3, (\d+)\)", (ROOT / "pip_ros/machine.py").read_text()
    )
    oldest, newest = f"3.{told[1]}", f"3.{told[2]}"
    assert f"({oldest} to {newest}, with venv" in (ROOT / "README.md").read_text()
    assert matrix("wheels")["python"] == [f"3.{minor}" for minor in range(int(told[1]), int(told[2]) + 1)]
    assert f'python_requires=">={oldest}"' in (ROOT / "setup.py").read_text()
    assert f"Python {oldest} to {newest} with ROS 2 from wheels" in (ROOT / "docs/platforms.md").read_text()


def test_the_distributions_of_the_workflow_are_those_of_the_documentation() -> None:
    told = re.findall(r"^\| ([A-Z]\w+) \|", (ROOT / "docs/platforms.md").read_text(), re.MULTILINE)
    assert told == ["Humble", "Jazzy", "Kilted", "Lyrical"]
    assert matrix("sourced")["distribution"] == [n.lower() for n in told if n != "Kilted"]  # it ends in December 2026


def test_cmake_uses_nothing_that_newer_distributions_removed() -> None:
    for file in (ROOT / "CMakeLists.txt", ROOT / "pip_ros/vision_msgs/CMakeLists.txt", ROOT / "examples/ask.cpp"):
        text = file.read_text()
        assert "ament_target_dependencies" not in text
        for least in re.findall(r"cmake_minimum_required\(VERSION (\d+)\.(\d+)", text):
            assert tuple(map(int, least)) >= (3, 10)  # CMake 4 refuses older ones
