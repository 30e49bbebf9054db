"""Footage with label images from folders: layouts, palettes, rates, and what is refused."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest

from samlite_ros.errors import FootageError
from samlite_ros.evaluation.truth.label_folders import IMAGES, LABELS, find_labelled_folders

SIZE = (48, 64)


def labels(step=0):
    """Things 1 (inside) and 2 (at the border)."""
    ids = np.zeros(SIZE, np.uint8)
    ids[10:20, 10 + step : 20 + step] = 1
    ids[30:40, 50:] = 2
    return ids


def write_palette_png(path, ids, palette):
    """A PNG of colour type 3, as DAVIS' annotations are."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.tobytes() for row in ids)
    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], 8, 3, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"PLTE", bytes(palette)), chunk(b"IDAT", zlib.compress(rows)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))


def write_sequence(images, masks, count=3, write=lambda path, ids: cv2.imwrite(str(path), ids)):
    for folder in (images, masks):
        folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        cv2.imwrite(str(images / f"{index:05d}.jpg"), np.full((*SIZE, 3), (0, 0, 200), np.uint8))
        write(masks / f"{index:05d}.png", labels(index))


def write_davis(root, names=("bear", "bus"), resolution="480p", **how):
    for name in names:
        write_sequence(root / IMAGES / resolution / name, root / LABELS / resolution / name, **how)


def test_davis_layout(tmp_path):
    write_davis(tmp_path)
    write_davis(tmp_path, ("bear",), "1080p")
    found = find_labelled_folders(tmp_path)
    assert [(s.name, len(s.files), s.rate_hz) for s in found] == [("bear", 3, 24.0), ("bus", 3, 24.0)]
    assert "480p" in str(found[0].files[0][0])
    truth = found[0].read()
    assert [t.frame.stamp_ns - truth[0].frame.stamp_ns for t in truth] == [0, 41666667, 83333333]
    assert np.array_equal(truth[2].ids, labels(2)) and truth[2].whole == {1}
    assert truth[0].frame.image[0, 0, 0] > 190 and truth[0].frame.image[0, 0, 2] < 10  # red: RGB
    assert len(found[0].read(2)) == 2


def test_davis_layout_without_resolutions(tmp_path):
    write_davis(tmp_path, resolution=".")
    assert [s.name for s in find_labelled_folders(tmp_path)] == ["bear", "bus"]


def test_images_and_labels_together(tmp_path):
    for name in ("a", "deep/b"):
        write_sequence(tmp_path / name, tmp_path / name)
    (tmp_path / "a" / "sequence.json").write_text(json.dumps({"rate_hz": 10}))
    assert [(s.name, s.rate_hz) for s in find_labelled_folders(tmp_path)] == [("a", 10.0), ("deep/b", 24.0)]
    assert {s.rate_hz for s in find_labelled_folders(tmp_path, 50.0)} == {50.0}
    assert [s.name for s in find_labelled_folders(tmp_path / "a")] == ["a"]


@pytest.mark.parametrize("palette", [[0, 0, 0, 128, 0, 0, 0, 128, 0], [9, 9, 9, 0, 0, 0, 0, 128, 0]])
def test_labels_with_a_palette(tmp_path, palette):
    write_sequence(tmp_path, tmp_path, write=lambda path, ids: write_palette_png(path, ids, palette))
    (sequence,) = find_labelled_folders(tmp_path)
    for index, truth in enumerate(sequence.read()):
        for thing in (0, 1, 2):
            (found,) = np.unique(truth.ids[labels(index) == thing])
            assert bool(found) == bool(thing)
        assert len(truth.masks) == 2


def test_one_thing_in_white_and_sixteen_bits(tmp_path):
    write_sequence(tmp_path, tmp_path, write=lambda p, ids: cv2.imwrite(str(p), ids.astype(np.uint16) * 1000))
    assert [list(t.masks) for t in find_labelled_folders(tmp_path)[0].read()] == [[1, 2]] * 3


def empty(root):
    root.mkdir()


def without_labels(root):
    write_davis(root)
    (root / LABELS / "480p" / "bus" / "00001.png").unlink()


def without_any_labels(root):
    write_sequence(root, root)
    for file in root.glob("*.png"):
        file.unlink()


def of_one_frame(root):
    write_sequence(root, root, count=1)


def with_a_bad_rate(root):
    write_sequence(root, root)
    (root / "sequence.json").write_text('{"rate": 24}')


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda root: None, "no such folder"),
        (empty, "no images with label images"),
        (without_labels, "1 of 3 images have no label image: expected"),
        (without_any_labels, "no images with label images"),
        (of_one_frame, "one frame: expected 2"),
        (with_a_bad_rate, "rate_hz"),
    ],
)
def test_what_is_no_footage_is_refused_before_anything_is_read(tmp_path, prepare, told):
    prepare(tmp_path / "video")
    with pytest.raises(FootageError, match=told) as raised:
        find_labelled_folders(tmp_path / "video")
    assert str(tmp_path / "video") in str(raised.value) and "expected" in str(raised.value)


def of_another_size(path):
    cv2.imwrite(str(path.with_suffix(".png")), labels()[:, :60])


def a_photograph(path):
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path.with_suffix(".png")), rng.integers(0, 256, (*SIZE, 3), np.uint8))


def cut_off(path):
    path.write_bytes(path.read_bytes()[:100])


def no_png(path):
    path.with_suffix(".png").write_text("label")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [(of_another_size, "60x48, the image"), (a_photograph, "one value a thing"), (cut_off, "jpg"), (no_png, "PNG")],
)
def test_files_that_do_not_fit_are_named(tmp_path, spoil, told):
    write_sequence(tmp_path, tmp_path)
    spoil(tmp_path / "00001.jpg")
    with pytest.raises(FootageError, match=told) as raised:
        find_labelled_folders(tmp_path)[0].read()
    assert "00001" in str(raised.value)
