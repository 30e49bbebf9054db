"""Which images an int8 export is calibrated on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from samlite_ros.commands.calibration_frames import read_frames, spread
from samlite_ros.commands.cli import main
from samlite_ros.demo.make_bag import MadeBag, make_bag
from samlite_ros.errors import ExportError
from samlite_ros.scenes import SequenceOptions


def folder_of(path, count):
    path.mkdir()
    (path / "notes.txt").write_text("none")
    for number in range(count):
        cv2.imwrite(str(path / f"{number:03}.png"), np.full((6, 8, 3), (0, 0, number), np.uint8))
    return path


def test_images_of_a_folder_evenly_and_in_rgb(tmp_path):
    frames = read_frames(str(folder_of(tmp_path / "seen", 20)), "", 10)
    assert len(frames) == 10 and frames[0].shape == (6, 8, 3)
    assert [int(f[0, 0, 0]) for f in frames][::9] == [0, 19] and not frames[3][..., 1:].any()
    assert spread([1, 2], 5) == [1, 2]


def test_images_of_a_bag(tmp_path):
    make_bag(tmp_path / "bag", MadeBag(scenes=SequenceOptions(size=(120, 160), frames=12)))
    frames = read_frames(str(tmp_path / "bag"), "", 9)
    assert len(frames) == 9 and len({frame.tobytes() for frame in frames}) == 9


def test_rendered_ones_are_none_that_parity_is_measured_on():
    frames = read_frames("rendered", "", 8)
    assert len(frames) == 8 and frames[0].shape[2] == 3


@pytest.mark.parametrize(("spoil", "words"), [("few", "3 images, expected at least 8"), ("none", "no such folder")])
def test_too_few_are_refused(tmp_path, spoil, words):
    source = folder_of(tmp_path / "seen", 3) if spoil == "few" else tmp_path / "nowhere"
    with pytest.raises(ExportError, match=words):
        read_frames(str(source), "", 100)


def test_a_damaged_image_is_named(tmp_path):
    folder = folder_of(tmp_path / "seen", 9)
    (folder / "004.png").write_bytes(b"\x89PNG")
    with pytest.raises(ExportError, match=r"004\.png"):
        read_frames(str(folder), "", 100)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--precision", "int8"], "needs --calibrate"),
        (["--precision", "int8", "--calibrate", "x"], "needs --phrases"),
        (["--calibrate", "x"], "--calibrate: expected --precision int8"),
    ],
)
def test_what_int8_needs_is_told_before_a_network_is_loaded(words, told, capsys):
    assert main(["export", "demo", *words]) == 1
    assert told in capsys.readouterr().err
