"""A finished environment is never cleared unasked."""

import subprocess
import sys
from pathlib import Path

import pytest

from pip_ros import bootstrap, finished
from pip_ros.environment import BootstrapError, Environment


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without anything in it."""
    env = Environment(tmp_path_factory.mktemp("made") / ".venv", "jazzy")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env.venv)], check=True)
    (env.venv / "env.sh").write_text(f"export VIRTUAL_ENV={env.venv}\nexport ROS_DISTRO=jazzy\n")
    return env.venv


@pytest.fixture
def env(made: Path) -> Environment:
    """The same, finished by another build of Python."""
    env = Environment(made, "jazzy")
    env.lock.touch()
    for name in ("environment", "Python packages", "samlite_ros"):
        env.set_done(name, ["3.11.1 (another)"])
    return env


def test_by_the_same_python_updated_it_is_used_on(env: Environment) -> None:
    finished.check_finished(env)
    assert env.is_done("environment", finished.origin(env))


@pytest.mark.parametrize(("attribute", "value"), [("base_prefix", "/other"), ("version_info", (3, 19, 0))])
def test_by_another_python_it_is_left_alone_and_both_are_named(env, attribute, value, monkeypatch, capsys) -> None:
    if attribute == "base_prefix":
        monkeypatch.setattr(sys, "base_prefix", value)
    else:
        monkeypatch.setattr(finished.platform, "python_version", lambda: ".".join(map(str, value)))
    monkeypatch.setattr(sys, "executable", "/other/bin/python3")
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--venv", str(env.venv)])
    before = sorted(env.venv.rglob("*"))
    assert bootstrap.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    python = env.python.resolve()
    assert "at /other/bin/python3" in line and f"at {python}" in line
    assert f"PYTHON={python}" in line and "make clean" in line
    assert sorted(env.venv.rglob("*")) == before


def test_one_that_another_make_finished_meanwhile_is_left_alone(env: Environment, monkeypatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/other")
    monkeypatch.setattr(bootstrap, "make_venv", lambda env: pytest.fail("cleared"))
    with pytest.raises(BootstrapError, match="was made with"):
        bootstrap.make(env)


def test_once_moved_it_is_left_alone(env: Environment, tmp_path: Path) -> None:
    moved = Environment(tmp_path / ".venv", "jazzy")
    env.venv.rename(moved.venv)
    try:
        with pytest.raises(BootstrapError, match=f"made as {env.venv}"):
            finished.check_finished(moved)
    finally:
        moved.venv.rename(env.venv)


def test_of_another_ros_it_is_left_alone(env: Environment) -> None:
    with pytest.raises(BootstrapError, match="for ROS jazzy, and asked for is kilted"):
        finished.check_finished(Environment(env.venv, "kilted"))


def test_without_its_python_it_is_left_alone(env: Environment) -> None:
    python = env.python.readlink()
    env.python.unlink()
    env.python.symlink_to("/gone/python3")
    try:
        with pytest.raises(BootstrapError, match="does not run any more"):
            finished.check_finished(env)
    finally:
        env.python.unlink()
        env.python.symlink_to(python)


def test_an_unfinished_one_may_be_cleared_and_a_foreign_one_may_not(tmp_path: Path) -> None:
    env = Environment(tmp_path / ".venv", "jazzy")
    finished.check_finished(env)
    (env.venv / "bin").mkdir(parents=True)
    with pytest.raises(BootstrapError, match="not ours to clear"):
        finished.check_finished(env)
    env.lock.touch()
    finished.check_finished(env)
