"""One command that a board's owner runs and sends back."""

from __future__ import annotations

import json

import pytest

from samlite_ros.bench import board, device
from samlite_ros.commands import cli


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(device, "stream_ms", lambda: {"p50": 1.0, "p95": 2.0})
    monkeypatch.setattr(device, "in_new_process", lambda function, side: function(side))
    monkeypatch.setattr(device, "pass_forever", None)
    monkeypatch.setattr(device.multiprocessing, "get_context", lambda _: Beside)


class Beside:
    """Of multiprocessing: a process that is there at once."""

    @staticmethod
    def Event():  # noqa: N802 - its name
        return Beside

    @staticmethod
    def wait(timeout):
        return True

    @staticmethod
    def Process(**_):  # noqa: N802
        return Beside

    @staticmethod
    def start():
        pass

    kill = join = start


def test_every_backend_is_measured_or_it_is_said_why_not(quick, demo_export, tmp_path, capsys):
    path = tmp_path / "new" / "report.json"
    command = ["bench", "device", "--export", str(demo_export), "--device", "cpu", "--rounds", "1", "-o", str(path)]
    assert cli.main(command) == 0
    report = json.loads(path.read_text())
    assert list(report["backends"]) == ["torch float32", "torch auto", "onnx cpu"]
    for found in report["backends"].values():
        assert found["resident [MiB]"] > 0 and found["computes"].startswith("cpu")
        assert {"image", "proposals, 8", "whole pass, 1", "whole pass, 4", "whole pass, 8"} < set(found)
        assert found["whole pass, 8"]["wall [ms]"] > 0
        assert found["late query"]["wait p95 [ms]"] >= 0  # a pass that was over sooner than before makes nobody wait
    assert list(report["not measured"]) == ["onnx tensorrt", "onnx cuda", "onnx openvino", "tensorrt"]
    assert set(report["stream"]) == {"alone", "beside torch float32", "beside torch auto", "beside onnx cpu"}
    assert {"machine", "options", "board", "temperatures [C]"} < set(report)
    assert "send it back" in capsys.readouterr().out


def test_a_board_tells_what_it_can(tmp_path, monkeypatch):
    zone = tmp_path / "thermal_zone3"
    zone.mkdir()
    (zone / "type").write_text("gpu-thermal\n")
    (zone / "temp").write_text("48500\n")
    (tmp_path / "thermal_zone4").mkdir()  # one that cannot be read
    (tmp_path / "nvpmodel").write_text("#!/bin/sh\necho 'NV Power Mode: MAXN'\necho 0\n")
    (tmp_path / "nvpmodel").chmod(0o755)
    monkeypatch.setattr(board, "_THERMAL", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert board.temperatures_c() == {"3 gpu-thermal": 48.5}
    assert board.power_mode() == "NV Power Mode: MAXN; 0"
    assert board.clocks() == ""
