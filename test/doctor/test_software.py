"""Python, ROS and packages: what is wrong with each is told with what to do."""

import runpy
from importlib import metadata
from pathlib import Path

import pytest

from samlite_ros.doctor import Level
from samlite_ros.doctor.software import PACKAGES, check_packages, check_python, check_ros, installed_version

SETUP = Path(__file__).resolve().parents[2] / "setup.py"
GOOD = {bounds.package: bounds.lowest for bounds in PACKAGES}


def levels(findings):
    return [finding.level for finding in findings]


def test_the_bounds_are_those_of_setup_py():
    declared = runpy.run_path(str(SETUP))
    lines = {*declared["LIBRARY"], *(line for name in ("torch", "onnx", "bags") for line in declared["EXTRAS"][name])}
    assert {f"{b.package}>={b.lowest}" + (f",<{b.below}" if b.below else "") for b in PACKAGES} == lines


@pytest.mark.parametrize(("version", "level"), [((3, 9, 1), "ERROR"), ((3, 10, 0), "OK"), ((3, 15, 0), "WARN")])
def test_python(version, level):
    finding = check_python(version)
    assert finding.level.name == level
    assert bool(finding.advice) == (level != "OK")


def test_all_packages_are_well():
    assert levels(check_packages(GOOD.get)) == [Level.OK]


@pytest.mark.parametrize(
    ("package", "version", "level", "words"),
    [
        ("numpy", "1.23.9", Level.ERROR, "too old"),
        ("opencv-python", "5.0.1", Level.ERROR, "too new"),
        ("scipy", "", Level.ERROR, "not installed"),
        ("torch", "2.3.1+cpu", Level.ERROR, "too old"),
        ("transformers", "5.5.4", Level.ERROR, "too old"),
        ("mcap", "", Level.OK, "no bags of mcap files"),
    ],
)
def test_a_package_that_does_not_fit_is_told(package, version, level, words):
    _, finding = check_packages({**GOOD, package: version}.get)
    assert finding.level is level
    assert package in finding.found
    assert words in finding.found
    assert ("pip install" in finding.advice) == (level is Level.ERROR)


def test_versions_that_hold_no_number_are_let_try():
    assert levels(check_packages({**GOOD, "torch": "?"}.get)) == [Level.OK]


def test_without_any_backend_nothing_computes():
    findings = check_packages({**GOOD, "torch": "", "onnxruntime": ""}.get)
    assert findings[-1].level is Level.ERROR
    assert "nothing can compute" in findings[-1].found


def test_another_build_of_a_package_stands_for_it(monkeypatch):
    def version(name):
        if name == "onnxruntime-gpu":
            return "1.20"
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", version)
    assert installed_version("onnxruntime") == "1.20"


def load_all_but(*missing):
    def load(name):
        if name in missing:
            raise ImportError(f"No module named {name!r}")

    return load


@pytest.mark.parametrize(
    ("environment", "missing", "level", "words"),
    [
        ({"ROS_DISTRO": "jazzy"}, (), "OK", "jazzy"),
        ({}, ("rclpy",), "WARN", "there is none"),
        ({"ROS_DISTRO": "jazzy"}, ("rclpy",), "ERROR", "rclpy cannot be imported"),
        ({"ROS_DISTRO": "jazzy"}, ("samlite_ros.msg",), "ERROR", "samlite_ros.msg cannot"),
        ({"ROS_DISTRO": "jazzy"}, ("vision_msgs.msg",), "ERROR", "vision_msgs.msg cannot"),
        ({"ROS_DISTRO": "foxy"}, (), "WARN", "foxy"),
    ],
)
def test_ros(environment, missing, level, words):
    finding = check_ros(environment, load_all_but(*missing))
    assert finding.level.name == level
    assert words in finding.found
