"""From clips to crops to a network that OpenCV runs."""

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from samlite_ros.streaming.carry.planes import PLANES
from samlite_ros.streaming.carry.refiner import OnnxRefiner
from samlite_ros.training.refiner import prepare
from samlite_ros.training.refiner.batches import N, shown
from samlite_ros.training.refiner.clips import read_clips
from samlite_ros.training.refiner.crops import SCALES, TILE, crops_of
from samlite_ros.training.refiner.made_clips import cut_out
from samlite_ros.training.refiner.train import Recipe, folds_of, train


def photo(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (60, 90, 3)).astype(np.float32)
    return cv2.resize(noise, (720, 480), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    clip = cut_out(rng, [photo(0), photo(1)], [])
    return list(crops_of(rng, clip, 12, 6, None))


def test_crops_show_the_thing_where_it_is(crops):
    assert len(crops) > 5
    assert all(c.planes.shape == (PLANES, TILE, TILE) for c in crops)
    found = []
    for c in crops:
        carried, true = c.planes[3] > 0, c.truth > 127
        found.append(np.count_nonzero(carried & true) / np.count_nonzero(carried | true))
    assert np.median(found) > 0.6


def test_what_is_stored_is_what_is_shown(crops, tmp_path):
    prepare.store(tmp_path / "photos.npz", crops)
    planes, truth = shown(None, prepare.read(tmp_path / "photos.npz"), 3)
    rim = (TILE - N) // 2
    expected = (crops[3].planes / SCALES)[:, rim:-rim, rim:-rim]
    assert np.abs(planes - expected).max() < 1e-5
    assert truth.shape == (2, N, N)


def test_a_training_ends_in_a_network_that_opencv_runs_and_is_not_run_again(crops, tmp_path):
    pytest.importorskip("onnx")
    prepare.store(tmp_path / "photos.npz", crops)
    train(tmp_path / "out", [tmp_path / "photos.npz"], Recipe(steps=2, batch=2), frozenset(), print)
    delta = OnnxRefiner(tmp_path / "out" / "refiner.onnx")(np.zeros((PLANES, 96, 96), np.float32))
    assert delta.shape == (96, 96) and np.isfinite(delta).all()
    made = (tmp_path / "out" / "checkpoint.pt").stat().st_mtime_ns
    train(tmp_path / "out", [tmp_path / "photos.npz"], Recipe(steps=9, batch=2), frozenset(), print)
    assert (tmp_path / "out" / "checkpoint.pt").stat().st_mtime_ns == made


@pytest.mark.parametrize("is_davis", [False, True])
def test_sequences_are_read_in_both_layouts(tmp_path, is_davis):
    images = tmp_path / ("JPEGImages/480p" if is_davis else "") / "cow"
    labels = tmp_path / "Annotations/480p/cow" if is_davis else images
    images.mkdir(parents=True)
    labels.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(images / "00000.jpg"), photo(0))
    mask = np.zeros((480, 720), np.uint8)
    mask[100:200, 100:300] = 255
    cv2.imwrite(str(labels / "00000.png"), mask)
    (clip,) = read_clips(tmp_path)
    assert clip.name == "cow" and clip.images[0].shape == (363, 544, 3)
    assert set(np.unique(clip.labels[0])) == {0, 1}


def test_folds_are_as_told_or_dealt_out():
    assert folds_of("a,b;c", ["a", "b", "c"]) == {"fold0": {"a", "b"}, "fold1": {"c"}}
    assert sorted(n for kept in folds_of("", list("abcde")).values() for n in kept) == list("abcde")
