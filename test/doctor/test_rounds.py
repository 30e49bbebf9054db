"""All checks together: none keeps another from being made; the report holds nothing of the user's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from samlite_ros.commands import cli
from samlite_ros.doctor import Finding, Level, rounds
from samlite_ros.doctor.finding import error, guarded, ok, warn, worst

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({missing}))
from samlite_ros.commands.cli import main
sys.exit(main(["doctor"]))
"""


def test_a_check_that_fails_is_a_finding():
    def check():
        raise PermissionError("no\nentry")

    (finding,) = guarded("x", check)
    assert finding == Finding("x", Level.WARN, "could not be looked at: PermissionError: no entry", finding.advice)


def test_the_worst_counts():
    assert worst([]) is Level.OK
    assert worst([ok("a", ""), error("b", "", ""), warn("c", "", "")]) is Level.ERROR


@pytest.mark.parametrize("level", list(Level))
def test_the_status_of_the_command(level, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(rounds, "_checks", lambda _: [("x", lambda: Finding("x", level, "found", "do this"))])
    report = tmp_path / "report.md"
    assert cli.main(["doctor", "--report", str(report)]) == int(level is Level.ERROR)
    assert "-> do this" in capsys.readouterr().out
    assert f": {level.name}\n" in report.read_text()


def test_the_report_names_neither_user_nor_host_nor_secrets():
    findings = [ok("disk", "cache in /home/ada/.cache, /media/ada/stick, on box7")]
    environment = {"ROS_DOMAIN_ID": "3", "HF_TOKEN": "secret", "FASTDDS_DEFAULT_PROFILES_FILE": "/home/ada/x.xml"}
    text = rounds.without_names(rounds.report(findings, environment), Path("/home/ada"), "box7")
    assert "ROS_DOMAIN_ID=3" in text
    assert "~/.cache" in text
    assert not any(word in text for word in ("ada", "box7", "secret"))


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("rclpy",), "rclpy cannot be imported"),
        (("torch", "transformers"), "does not compute"),
        (("cv2", "torch", "rclpy", "safetensors"), "could not be looked at"),
    ],
)
def test_what_is_missing_keeps_nothing_else_from_being_looked_at(missing, said, tmp_path):
    code = WITHOUT.format(missing=repr(missing)).replace('"doctor"', '"doctor", "--listen", "0"')
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert said in done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    assert all(
        f" {subject}:" in done.stdout for subject in ("python", "packages", "disk", "clock", "model", "middleware")
    )
    assert done.stdout.splitlines()[-1].endswith("warnings")


def test_parameters_say_which_model(tmp_path, capsys):
    path = tmp_path / "samlite.yaml"
    path.write_text("samlite:\n  ros__parameters:\n    model: /nowhere\n")
    assert cli.main(["doctor", "--params-file", str(path), "--listen", "0"]) == 1
    assert "ERROR model: no folder '/nowhere'" in capsys.readouterr().out
