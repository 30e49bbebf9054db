"""The model: missing, broken, of another kind, and one that does not compute."""

import shutil

import pytest

from samlite_ros.doctor import Level, model
from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter import SegmenterOptions
from samlite_ros.segmenter.sources import DEMO_FOLDER


@pytest.fixture
def checkpoint(tmp_path):
    return shutil.copytree(DEMO_FOLDER, tmp_path / "model")


def test_the_demo_checkpoint_is_whole():
    finding = model.check_model(SegmenterOptions("demo"))
    assert finding.level is Level.OK
    assert "sha256" in finding.found


def test_an_export_is_compared_with_its_manifest(demo_export, tmp_path):
    assert "every file as it was exported" in model.check_model(SegmenterOptions(str(demo_export))).found
    copy = shutil.copytree(demo_export, tmp_path / "export")
    graph = next(copy.glob("*.onnx"))
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    finding = model.check_model(SegmenterOptions(str(copy)))
    assert finding.level is Level.ERROR
    assert graph.name in finding.found


def test_weights_that_are_cut_off(checkpoint):
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    finding = model.check_model(SegmenterOptions(str(checkpoint)))
    assert finding.level is Level.ERROR
    assert "cut off" in finding.found


@pytest.mark.parametrize("name", ["", "/nowhere", "facebook/sam3", "SamModel"])
def test_names_of_no_model(name):
    assert model.check_model(SegmenterOptions(name)).level is Level.ERROR


def test_a_model_that_only_the_hub_has_is_not_fetched(monkeypatch):
    monkeypatch.setattr(model, "cached_checkpoint", lambda name: None)
    options = SegmenterOptions("vil-uob/sam3-litetext-s0")
    finding = model.check_model(options)
    assert finding.level is Level.WARN
    assert "samlite download" in finding.advice
    assert model.check_network(options).found.startswith("not tried")


def test_a_large_model_is_not_loaded_unless_asked(monkeypatch):
    monkeypatch.setattr(model, "SMALL_BYTES", 1000)
    assert "--load" in model.check_network(SegmenterOptions("demo"), load=pytest.fail).found


def test_a_network_that_cannot_be_loaded_is_an_error():
    def load(options):
        raise ModelLoadError("out of memory")

    finding = model.check_network(SegmenterOptions("demo"), load=load)
    assert finding.level is Level.ERROR
    assert "out of memory" in finding.found


def test_the_demo_network_computes():
    finding = model.check_network(SegmenterOptions("demo", device="cpu"))
    assert finding.level is Level.OK
    assert "first image in" in finding.found
