"""The shipped judge of pixels."""

import hashlib
import warnings

import numpy as np
import pytest

from samlite_ros.streaming.carry.planes import PLANES
from samlite_ros.streaming.carry.refiner import WEIGHTS, OnnxRefiner, shipped_refiner


def test_the_package_ships_its_weights_and_they_are_those_of_the_card():
    data = WEIGHTS.read_bytes()
    assert len(data) < 2_000_000
    assert hashlib.sha256(data).hexdigest() in (WEIGHTS.parent / "README.md").read_text(encoding="utf-8")


def test_the_shipped_refiner_answers_at_the_size_of_its_planes():
    refiner = shipped_refiner(96)
    delta = refiner(np.zeros((PLANES, 96, 96), np.float32))
    assert delta.shape == (96, 96) and delta.dtype == np.float32 and np.isfinite(delta).all()


def test_missing_weights_are_told_once_and_are_no_fault(tmp_path):
    with pytest.warns(UserWarning, match="no weights of the refiner at .*: masks are carried by templates alone"):
        assert shipped_refiner(96, tmp_path / "none.onnx") is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shipped_refiner(96, tmp_path / "none.onnx") is None


@pytest.mark.parametrize("data", [b"", b"no network", WEIGHTS.read_bytes()[:100_000]], ids=["empty", "text", "cut"])
def test_damaged_weights_are_told_and_are_no_fault(tmp_path, data):
    (tmp_path / "spoilt.onnx").write_bytes(data)
    with pytest.warns(UserWarning, match="damaged weights of the refiner"):
        assert shipped_refiner(96, tmp_path / "spoilt.onnx") is None


def test_weights_for_other_windows_are_told_and_are_no_fault():
    with pytest.warns(UserWarning, match=f"are for other planes than {PLANES} of 90 cells a side: masks are carried"):
        assert shipped_refiner(90) is None


def test_a_named_file_that_is_missing_is_a_fault(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights of the refiner at"):
        OnnxRefiner(tmp_path / "none.onnx")
