"""The making of the environment: what it refuses, what it repeats and what it skips."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pip_ros import bootstrap, machine
from pip_ros.environment import BootstrapError, Environment


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    return Environment(tmp_path, "jazzy")


def test_missing_tools_are_one_line_to_type(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--venv", str(tmp_path / "venv")])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "sudo apt install" in line
    assert line.endswith(" g++ make`")
    assert not (tmp_path / "venv").exists()


def test_sourced_ros_without_its_packages_is_one_line_to_type(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "share/rclpy").mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setenv("ROS_DISTRO", "humble")
    with pytest.raises(BootstrapError, match=r"install .*ros-humble-diagnostic-msgs ros-humble-vision-msgs"):
        machine.check_machine(Environment(tmp_path, "sourced"))


@pytest.mark.parametrize(
    ("ros", "told"),
    [
        ("humble", "no Python wheels of ROS 2 humble: type `source /opt/ros/humble/setup.bash`, then make"),
        ("sourced", "no ROS is sourced: type `source /opt/ros/<distribution>/setup.bash`"),
    ],
)
def test_a_ros_that_is_not_there_is_one_line_to_type(ros: str, told: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--ros", ros, "--venv", str(tmp_path / "venv")])
    assert bootstrap.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_an_environment_from_wheels_that_was_entered_is_no_sourced_ros(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "pyvenv.cfg").touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    with pytest.raises(BootstrapError, match="no ROS is sourced"):
        machine.check_ros(Environment(tmp_path, "sourced"))


@pytest.mark.parametrize(("system", "architecture"), [("Linux", "aarch64"), ("Darwin", "arm64")])
def test_machine_without_wheels_is_told_to_source_ros(system: str, architecture: str, env, monkeypatch) -> None:
    monkeypatch.setattr(machine.platform, "system", lambda: system)
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    with pytest.raises(BootstrapError, match=f"no ROS 2 wheels for {system} on {architecture}.*source"):
        machine.check_machine(env)


def test_too_old_python_is_refused(env, monkeypatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(BootstrapError, match=r"this is 3\.9"):
        machine.check_machine(env)


def test_oldest_versions_ask_for_their_python(tmp_path: Path, monkeypatch) -> None:
    oldest = Environment(tmp_path, "none", oldest=True)
    monkeypatch.setattr(machine, "missing_packages", lambda env: [])
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    with pytest.raises(BootstrapError, match=r"PYTHON=python3\.10"):
        machine.check_machine(oldest)
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    machine.check_machine(oldest)


def test_step_runs_once_for_the_same_inputs(env) -> None:
    done = []
    for inputs in (["a"], ["a"], ["b"], ["a"]):
        bootstrap.step(env, 1, "some step", inputs, lambda inputs=inputs: done.append(inputs))
    assert done == [["a"], ["b"], ["a"]]


def test_a_missing_colcon_is_one_line_to_type(env, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(env.venv))
    with pytest.raises(BootstrapError, match="sudo apt install python3-colcon-common-extensions"):
        bootstrap.build_package(env)


def test_steps_are_counted_and_timed(env, capsys) -> None:
    bootstrap.step(env, 2, "Python packages", ["a"], lambda: None)
    began, ended = capsys.readouterr().out.splitlines()
    assert began.startswith("==> step 2 of 3: Python packages") and "minutes" in began
    assert re.fullmatch(r" +done in \d+ s", ended)
    bootstrap.step(env, 2, "Python packages", ["a"], lambda: None)
    assert not capsys.readouterr().out


def test_what_pip_says_is_in_a_log_that_is_named_where_it_fails(env, monkeypatch, capsys) -> None:
    pip = [sys.executable, "-c", "print('Collecting x'); print('no such package'); raise SystemExit(1)"]
    monkeypatch.setattr(bootstrap, "pip_install", lambda env: pip)
    with pytest.raises(BootstrapError, match="network"):
        bootstrap.install_packages(env, ["x"])
    log = env.venv / "logs/Python_packages.log"
    assert "Collecting x\n" in log.read_text()
    told = capsys.readouterr().out
    assert str(log) in told and "no such package" in told


def test_failed_step_runs_again(env) -> None:
    with pytest.raises(ZeroDivisionError):
        bootstrap.step(env, 1, "some step", ["a"], lambda: 1 / 0)
    done = []
    bootstrap.step(env, 1, "some step", ["a"], lambda: done.append("again"))
    assert done == ["again"]


def test_wheels_are_kept_apart_from_a_sourced_ros(env, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/humble/lib")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/humble")
    shell = bootstrap.shell(env)
    assert "PYTHONPATH" not in shell
    assert shell["AMENT_PREFIX_PATH"] == str(env.venv)


def test_cmake_targets_point_to_this_machine(env, monkeypatch) -> None:
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


def test_a_small_robot_gets_no_torch(tmp_path: Path) -> None:
    whole, small = (
        {re.split(r"[<>=!;]", package)[0] for package in bootstrap.requirements(env)}
        for env in (Environment(tmp_path, "jazzy", without_torch=w) for w in (False, True))
    )
    assert whole - small == {"torch", "transformers", "onnx", "onnxscript"} and "onnxruntime" in small


@pytest.mark.parametrize("ros", ["jazzy", "kilted"])
def test_requirements_hold_what_setup_declares_and_one_distribution(ros: str, tmp_path: Path) -> None:
    packages = bootstrap.requirements(Environment(tmp_path, ros))
    assert any(package.startswith("torch>=") for package in packages)
    assert {package.split("-")[1] for package in packages if package.startswith("ros-")} == {ros}
