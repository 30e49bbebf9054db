"""auto: an export where there is one that fits, else torch."""

from __future__ import annotations

import logging
import re
import shutil
import sys

import pytest

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter import SegmenterOptions, choose
from samlite_ros.segmenter.choose import choose_backend
from samlite_ros.segmenter.exported.find import default_folder
from samlite_ros.segmenter.sources import DEMO_FOLDER


@pytest.fixture
def cached(demo_export, tmp_path, monkeypatch):
    """The demo network's export where `samlite export demo` puts it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return shutil.copytree(demo_export, default_folder("demo"))


@pytest.fixture
def libraries(monkeypatch):
    installed = {"torch", "onnxruntime"}
    monkeypatch.setattr(choose, "find_spec", lambda name: name if name in installed else None)
    monkeypatch.setattr(choose, "_has_gpu", lambda: False)
    return installed


def test_an_export_by_the_best_runtime(demo_export, libraries, monkeypatch):
    options = SegmenterOptions(str(demo_export))
    assert choose_backend(options) == "onnx"
    libraries.add("tensorrt")
    assert choose_backend(options) == "onnx"
    monkeypatch.setattr(choose, "_has_gpu", lambda: True)
    assert choose_backend(options) == "tensorrt"
    assert choose_backend(SegmenterOptions(str(demo_export), device="cpu")) == "onnx"


def test_a_checkpoint_by_torch_until_it_is_exported(libraries, cached):
    assert choose_backend(SegmenterOptions("demo")) == "onnx"
    assert choose_backend(SegmenterOptions(str(DEMO_FOLDER))) == "torch"
    shutil.rmtree(cached)
    assert choose_backend(SegmenterOptions("demo")) == "torch"
    libraries.discard("torch")
    assert choose_backend(SegmenterOptions("demo")) == "onnx"  # which says how to export it


def test_where_nothing_is_installed_it_says_what_to_type(libraries, cached):
    libraries.clear()
    line = re.escape(f"{sys.executable} -m pip install")
    with pytest.raises(ModelLoadError, match=rf"{line} torch transformers, or.*: {line} onnxruntime tokenizers"):
        choose_backend(SegmenterOptions("demo"))
    libraries.add("tensorrt")  # which computes nothing where there is no GPU
    with pytest.raises(ModelLoadError, match="nothing that could compute model 'demo' is installed"):
        choose_backend(SegmenterOptions("demo"))


def test_an_export_that_does_not_fit_is_left_aside_in_words(libraries, cached, caplog):
    with caplog.at_level(logging.WARNING):
        assert choose_backend(SegmenterOptions("demo", image_size=208)) == "torch"
    assert "is computed by torch: " in caplog.text and "was exported for image_size 192" in caplog.text


def test_tokens_are_reused_by_torch(libraries, cached, caplog):
    with caplog.at_level(logging.WARNING):
        assert choose_backend(SegmenterOptions("demo", reuse_tokens=True)) == "torch"
    assert "is computed by torch: " in caplog.text and "reuse_tokens needs backend 'torch'" in caplog.text


def test_an_export_of_an_older_checkpoint_is_left_aside(libraries, cached, monkeypatch, tmp_path, caplog):
    newer = shutil.copytree(DEMO_FOLDER, tmp_path / "newer")
    (newer / "config.json").write_text((newer / "config.json").read_text() + "\n")
    monkeypatch.setattr("samlite_ros.segmenter.exported.find.DEMO_FOLDER", newer)
    assert choose_backend(SegmenterOptions("demo")) == "torch"
    assert "is of an older checkpoint" in caplog.text


def test_a_gpu_is_not_left_unused(libraries, cached, monkeypatch):
    monkeypatch.setattr(choose, "_has_gpu", lambda: True)
    assert choose_backend(SegmenterOptions("demo")) == "torch"  # this onnxruntime has no CUDA
    assert choose_backend(SegmenterOptions("demo", device="cpu")) == "onnx"
    libraries.discard("torch")
    assert choose_backend(SegmenterOptions("demo")) == "onnx"
