"""Commands whose output goes into a log file."""

import re
import sys
from pathlib import Path

from pip_ros.quietly import LAST_LINES, run_quietly


def python(code: str) -> list[str]:
    return [sys.executable, "-c", f"import sys, time\n{code}"]


def test_all_is_in_the_log_and_only_what_is_asked_for_is_shown(tmp_path: Path, capsys) -> None:
    code = "print('Collecting a'); print('Finished <<< b [2s]'); print('warning', file=sys.stderr)"
    assert run_quietly(python(code), tmp_path / "logs/x.log", show="^Finished") == 0
    logged = (tmp_path / "logs/x.log").read_text().splitlines()
    assert sorted(logged) == [
        "Collecting a",
        "Finished <<< b [2s]",
        "warning",
    ]
    assert capsys.readouterr().out.split("\n") == ["    Finished <<< b [2s]", ""]


def test_on_failure_the_last_lines_and_the_log_are_shown(tmp_path: Path, capsys) -> None:
    code = "[print('line', i) for i in range(100)]; print('this is why', file=sys.stderr); sys.exit(3)"
    assert run_quietly(python(code), tmp_path / "x.log") == 3
    told = capsys.readouterr().out.splitlines()
    assert len(told) == LAST_LINES + 1
    assert "this is why" in told and "line 99" in told and told[-1].endswith(str(tmp_path / "x.log"))


def test_silence_and_chatter_alike_give_signs_of_life(tmp_path: Path, capsys) -> None:
    for code in (
        "print('Downloading torch'); time.sleep(1)",
        "[(print('Downloading torch'), time.sleep(0.05)) for _ in range(20)]",
    ):
        assert run_quietly(python(code), tmp_path / "x.log", every_s=0.3) == 0
        told = capsys.readouterr().out.splitlines()
        assert 1 <= len(told) <= 5
        assert re.fullmatch(r" +\d+ s: Downloading torch", told[-1])
