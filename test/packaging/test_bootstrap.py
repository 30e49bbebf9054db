"""The making of the environment: what it refuses, what it repeats and what it skips."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BOOTSTRAP = Path(__file__).resolve().parents[2] / "pip_ros/bootstrap.py"


@pytest.fixture(scope="module")
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", BOOTSTRAP)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bootstrap"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def env(bootstrap: ModuleType, tmp_path: Path):
    return bootstrap.Environment(tmp_path, "jazzy")


def test_missing_tools_are_one_line_to_type(tmp_path: Path, bootstrap, monkeypatch, capsys) -> None:
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--venv", str(tmp_path / "venv")])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "sudo apt install" in line
    assert line.endswith(" g++ make`")
    assert not (tmp_path / "venv").exists()


def test_sourced_ros_without_its_packages_is_one_line_to_type(tmp_path: Path, bootstrap, monkeypatch) -> None:
    (tmp_path / "share/rclpy").mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setenv("ROS_DISTRO", "humble")
    with pytest.raises(bootstrap.BootstrapError, match=r"install .*ros-humble-cv-bridge ros-humble-vision-msgs"):
        bootstrap.check_machine(bootstrap.Environment(tmp_path, "sourced"))


@pytest.mark.parametrize(("system", "machine"), [("Linux", "aarch64"), ("Darwin", "arm64")])
def test_machine_without_wheels_is_told_to_source_ros(system: str, machine: str, bootstrap, env, monkeypatch) -> None:
    monkeypatch.setattr(bootstrap.platform, "system", lambda: system)
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: machine)
    with pytest.raises(bootstrap.BootstrapError, match=f"no ROS 2 wheels for {system} on {machine}.*source"):
        bootstrap.check_machine(env)


def test_too_old_python_is_refused(bootstrap, env, monkeypatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(bootstrap.BootstrapError, match=r"this is 3\.9"):
        bootstrap.check_machine(env)


def test_oldest_versions_ask_for_their_python(bootstrap, tmp_path: Path, monkeypatch) -> None:
    oldest = bootstrap.Environment(tmp_path, "none", oldest=True)
    monkeypatch.setattr(bootstrap, "missing_packages", lambda env: [])
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    with pytest.raises(bootstrap.BootstrapError, match=r"PYTHON=python3\.10"):
        bootstrap.check_machine(oldest)
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    bootstrap.check_machine(oldest)


def test_step_runs_once_for_the_same_inputs(bootstrap, env) -> None:
    done = []
    for inputs in (["a"], ["a"], ["b"], ["a"]):
        bootstrap.step(env, "some step", inputs, lambda inputs=inputs: done.append(inputs))
    assert done == [["a"], ["b"], ["a"]]


def test_failed_step_runs_again(bootstrap, env) -> None:
    with pytest.raises(ZeroDivisionError):
        bootstrap.step(env, "some step", ["a"], lambda: 1 / 0)
    done = []
    bootstrap.step(env, "some step", ["a"], lambda: done.append("again"))
    assert done == ["again"]


def test_wheels_are_kept_apart_from_a_sourced_ros(bootstrap, env, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/humble/lib")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/humble")
    shell = bootstrap.shell(env)
    assert "PYTHONPATH" not in shell
    assert shell["AMENT_PREFIX_PATH"] == str(env.venv)


def test_cmake_targets_point_to_this_machine(bootstrap, env, monkeypatch) -> None:
    target = env.venv / "share/std_msgs/cmake/export.cmake"
    target.parent.mkdir(parents=True)
    there = "/opt/python/cp311-cp311"
    target.write_text(
        f'DIRS "{there}/include/python3.11;{there}/lib/python3.11/site-packages/numpy/_core/include;/usr"'
    )
    answer = subprocess.CompletedProcess([], 0, stdout="/here/python\n/here/numpy\n")
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *_, **__: answer)
    assert bootstrap.point_targets_here(env) == 1
    assert target.read_text() == 'DIRS "/here/python;/here/numpy;/usr"'
    assert bootstrap.point_targets_here(env) == 0


def test_a_small_robot_gets_no_torch(bootstrap, tmp_path: Path) -> None:
    whole, small = (
        {re.split(r"[<>=!;]", package)[0] for package in bootstrap.requirements(env)}
        for env in (bootstrap.Environment(tmp_path, "jazzy", without_torch=w) for w in (False, True))
    )
    assert whole - small == {"torch", "transformers", "onnx", "onnxscript"} and "onnxruntime" in small


@pytest.mark.parametrize("ros", ["jazzy", "kilted"])
def test_requirements_hold_what_setup_declares_and_one_distribution(ros: str, bootstrap, tmp_path: Path) -> None:
    packages = bootstrap.requirements(bootstrap.Environment(tmp_path, ros))
    assert any(package.startswith("torch>=") for package in packages)
    assert {package.split("-")[1] for package in packages if package.startswith("ros-")} == {ros}
