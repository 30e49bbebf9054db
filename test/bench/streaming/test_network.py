"""The network itself in the streaming benchmark, by every backend that can run here."""

import pytest

from samlite_ros.bench.streaming import accuracy, network
from samlite_ros.bench.streaming.options import StreamingBenchOptions
from samlite_ros.errors import ModelLoadError, SamliteError


@pytest.fixture
def one_sequence(monkeypatch):
    monkeypatch.setattr(accuracy, "DIFFICULTIES", {"development": accuracy.DEVELOPMENT[:1]})


def rows(model, *backends):
    options = StreamingBenchOptions(
        profiles_ms=(250.0,), sets=("development",), frames=30, charge_s=0.0, backends=backends, model=model
    )
    figures = network.run(options, lambda items, text: items)
    return {row: {f.column: f.value for f in figures if f.row == row} for row in {f.row for f in figures}}


def test_backends_say_the_same_at_their_own_speed(one_sequence, demo_export, monkeypatch):
    monkeypatch.setattr(network, "ROUNDS", 2)
    exported, checkpoint = rows(str(demo_export), "onnx"), rows("demo", "torch")
    found = exported | checkpoint
    assert set(found) == {"measured, onnx", "measured, torch", "250 ms, onnx", "250 ms, torch"}
    slow = {name: found[f"250 ms, {name}"] for name in ("onnx", "torch")}
    assert slow["onnx"] == pytest.approx(slow["torch"], abs=1e-3)
    for row in slow.values():
        assert row["pass"] == 250 and 0.2 < row["iou_peers"] < row["iou_ours"]
    assert found["measured, onnx"]["pass"] != found["measured, torch"]["pass"]


def test_what_cannot_be_measured_is_told(monkeypatch, one_sequence):
    with pytest.raises(ModelLoadError, match="`samlite export demo` makes one"):
        rows("demo", "onnx")
    monkeypatch.setattr(accuracy, "DIFFICULTIES", {"development": accuracy.DEVELOPMENT[3:4]})
    with pytest.raises(SamliteError, match="all things searched"):
        rows("demo", "torch")
