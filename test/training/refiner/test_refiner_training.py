"""From clips to crops to a network that OpenCV runs."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from samlite_ros.commands.cli import main
from samlite_ros.streaming.carry.planes import ERROR, PLANES
from samlite_ros.streaming.carry.refiner import OnnxRefiner
from samlite_ros.training.refiner import prepare
from samlite_ros.training.refiner.batches import N, shown
from samlite_ros.training.refiner.clips import Clip, read_clips
from samlite_ros.training.refiner.crops import SCALES, TILE, crops_of
from samlite_ros.training.refiner.made_clips import Part, cut_out, varied
from samlite_ros.training.refiner.train import Data, Recipe, folds_of, train


def photo(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (60, 90, 3)).astype(np.float32)
    return cv2.resize(noise, (720, 480), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    clip = cut_out(rng, [Part(photo(0)), Part(photo(1))], [])
    return list(crops_of(rng, clip, 12, 6, None))


def test_crops_show_the_thing_where_it_is(crops):
    assert len(crops) > 5
    assert all(c.planes.shape == (PLANES, TILE, TILE) for c in crops)
    found = []
    for c in crops:
        carried, true = c.planes[3] > 0, c.truth > 127
        found.append(np.count_nonzero(carried & true) / np.count_nonzero(carried | true))
    assert np.median(found) > 0.6


def test_crops_tell_how_the_refiner_erred_at_the_keyframe():
    clip = cut_out(np.random.default_rng(0), [Part(photo(0)), Part(photo(1))], [])
    eraser = lambda planes: np.full(planes.shape[1:], -20, np.float32)  # noqa: E731
    made = list(crops_of(np.random.default_rng(1), clip, 6, 12, eraser))
    told = [c for c in made if c.planes[ERROR].any()]
    assert 0.3 * len(made) < len(told) < len(made), "but nothing of the first keyframe"
    for crop in told:
        missing, thing = crop.planes[ERROR] > 32, crop.planes[4] > 8
        assert np.count_nonzero(missing & thing) > 0.5 * np.count_nonzero(thing)
        assert crop.planes[ERROR].min() > -8


def test_what_is_stored_is_what_is_shown(crops, tmp_path):
    prepare.store(tmp_path / "photos", crops)
    planes, truth = shown(None, prepare.read(tmp_path / "photos"), 3)
    rim = (TILE - N) // 2
    expected = (crops[3].planes / SCALES)[:, rim:-rim, rim:-rim]
    assert np.abs(planes - expected).max() < 1e-5
    assert truth.shape == (2, N, N)


def test_a_training_ends_in_a_network_that_opencv_runs_and_is_not_run_again(crops, tmp_path):
    pytest.importorskip("onnx")
    prepare.store(tmp_path / "photos", crops)
    train(tmp_path / "out", [tmp_path / "photos"], Recipe(steps=2, batch=2), frozenset(), print)
    delta = OnnxRefiner(tmp_path / "out" / "refiner.onnx")(np.zeros((PLANES, 96, 96), np.float32))
    assert delta.shape == (96, 96) and np.isfinite(delta).all()
    made = (tmp_path / "out" / "checkpoint.pt").stat().st_mtime_ns
    train(tmp_path / "out", [tmp_path / "photos"], Recipe(steps=9, batch=2), frozenset(), print)
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
    assert folds_of("", ["a", "b"]) == {"fold0": {"a"}, "fold1": {"b"}}
    assert sorted(n for kept in folds_of("", list("abcde")).values() for n in kept) == list("abcde")


def test_what_is_no_fold_is_told():
    with pytest.raises(ValueError, match="no sequence cow: expected some of a, b"):
        folds_of("a,cow", ["a", "b"])
    with pytest.raises(ValueError, match="1 sequences with masks found, expected at least 2"):
        folds_of("", ["a"])


def test_cut_outs_tell_whose_shapes_and_pixels_they_are():
    shape = np.ones((60, 50), bool)
    clip = cut_out(np.random.default_rng(0), [Part(photo(0), "cow"), Part(photo(1), "cow")], [Part(shape, "dog")])
    assert "cow" in clip.sources and clip.sources <= {"cow", "dog"}
    found = set()
    for seed in range(4):
        found |= cut_out(np.random.default_rng(seed), [Part(photo(0))], [Part(shape, "dog")]).sources
    assert found == {"dog"}


def test_varied_clips_keep_images_and_masks_together():
    images = [photo(k)[:306, :544] for k in range(8)]
    labels = [np.full((306, 544), k, np.uint8) for k in range(8)]
    for seed in range(6):
        clip = varied(np.random.default_rng(seed), Clip("cow", images, labels, sources=frozenset(["cow"])))
        assert clip.name == "cow" and clip.sources == {"cow"} and len(clip.images) == len(clip.labels) >= 4
        for image, label in zip(clip.images, clip.labels, strict=True):
            likeness = [np.corrcoef(image[::9, ::9, 1].ravel(), i[::9, ::9, 1].ravel())[0, 1] for i in images]
            assert int(np.argmax(likeness)) == label[0, 0]


def test_what_is_left_out_is_not_shown(crops, tmp_path):
    prepare.store(tmp_path / "photos", [replace(c, sources="cow@dog" if k % 2 else "") for k, c in enumerate(crops)])
    assert list(Data([tmp_path / "photos"], frozenset(["dog"])).rows["photos"]) == list(range(0, len(crops), 2))


def write_sequence(folder, name, seed):
    """A square that moves over a photograph."""
    (folder / name).mkdir(parents=True)
    thing, back = photo(seed)[:80, :80], photo(seed + 1)[:306, :544]
    for k in range(14):
        image, mask = back.copy(), np.zeros((306, 544), np.uint8)
        x = 60 + 8 * k
        image[100:180, x : x + 80], mask[100:180, x : x + 80] = thing, 255
        cv2.imwrite(str(folder / name / f"{k:05d}.jpg"), image)
        cv2.imwrite(str(folder / name / f"{k:05d}.png"), mask)


@pytest.mark.acceptance
def test_the_recipe_from_footage_to_weights_and_again_in_no_time(tmp_path, capsys):
    pytest.importorskip("onnx")
    for number, name in enumerate(("cow", "dog")):
        write_sequence(tmp_path / "data", name, 10 * number)
    words = ["train-refiner", str(tmp_path / "data"), "--folder", str(tmp_path / "out"), "--share", "0.001"]
    assert main([*words, "--fold-steps", "2", "--steps", "3"]) == 0
    weights = tmp_path / "out" / "final" / "refiner.onnx"
    assert str(weights) in capsys.readouterr().out
    assert np.isfinite(OnnxRefiner(weights)(np.zeros((PLANES, N, N), np.float32))).all()
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert main([*words, "--fold-steps", "2", "--steps", "3"]) == 0
    assert made == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()}
