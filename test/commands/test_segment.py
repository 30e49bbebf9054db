"""`samlite segment`, and the command line around it."""

from __future__ import annotations

import errno
import io
import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from samlite_ros.commands import cli, segment
from samlite_ros.commands.image_arguments import split_arguments
from samlite_ros.scenes import render_scene
from samlite_ros.segmenter import SegmenterOptions, load_segmenter

PHRASES = ["object", "red ball", "zebra"]


@pytest.fixture(scope="module")
def network():
    return load_segmenter(SegmenterOptions(device="cpu"))


@pytest.fixture(autouse=True)
def loaded_once(request, monkeypatch):
    """The same network for all tests that do not choose a model."""
    if "network" in request.fixturenames:
        loaded = request.getfixturevalue("network")
        monkeypatch.setattr(segment, "_load", lambda _arguments: loaded)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    paths = []
    for seed in (3, 5):
        paths.append(folder / f"scene {seed}.png")
        cv2.imwrite(str(paths[-1]), render_scene(seed).image[..., ::-1])
    return paths


def run(*words):
    return cli.main(["segment", *map(str, words)])


def test_table(network, images, capsys):
    assert run(*images, *PHRASES, "--threshold", "0.3") == 0
    out = capsys.readouterr().out
    assert all(str(path) in out for path in images)
    assert re.search(r"label +score +box x0 y0 x1 y1 \[px\] +area \[px\]", out)
    assert re.search(r"object +0\.\d\d( +\d+){4} +\d+\n", out)
    assert re.search(r"zebra +not found \(presence 0\.\d\d\)", out)


def test_json_can_be_read_by_pycocotools(network, images, capsys):
    assert run(*images, *PHRASES, "--json", "--threshold", "0.3") == 0
    entries = json.loads(capsys.readouterr().out)
    assert [(e["image"], e["phrase"]) for e in entries] == [(str(i), p) for i in images for p in PHRASES]
    found = [instance for entry in entries for instance in entry["instances"]]
    assert found
    for entry in entries:
        assert set(entry) == {"image", "phrase", "presence", "instances"}
        assert 0 <= entry["presence"] <= 1
    for instance in found:
        assert set(instance) == {"score", "box_xyxy", "area", "rle"}
        assert instance["rle"]["size"] == [480, 640]
        decoded = coco.decode(coco.frPyObjects(instance["rle"], 480, 640))
        assert decoded.sum() == instance["area"]
        x0, y0, x1, y1 = instance["box_xyxy"]
        assert 0 <= x0 < x1 <= 640
        assert 0 <= y0 < y1 <= 480
        assert 0.3 <= instance["score"] <= 1


def test_pictures(network, images, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert run(images[0], "object", "--json", "-o", out, "--threshold", "0.3") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    overlay = cv2.imread(str(out / "scene 3_overlay.png"))
    assert overlay.shape == (480, 640, 3)
    assert (overlay != cv2.imread(str(images[0]))).any()
    for number, instance in enumerate(entry["instances"], 1):
        mask = cv2.imread(str(out / f"scene 3_object_{number}.png"), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(mask)) == {0, 255}
        assert (mask == 255).sum() == instance["area"]
    assert len(list(out.iterdir())) == 1 + len(entry["instances"])


def test_images_of_one_name_do_not_overwrite_each_other(network, images, tmp_path):
    twins = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        twins.append(tmp_path / name / "x.png")
        twins[-1].write_bytes(images[0].read_bytes())
    assert run(*twins, "zebra", "-o", tmp_path / "out") == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["x-2_overlay.png", "x_overlay.png"]


def test_damaged_images_are_named_and_the_others_done(network, images, tmp_path, capsys):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(cv2.imencode(".jpg", np.zeros((40, 40, 3), np.uint8))[1].tobytes()[:100])
    empty = tmp_path / "empty.png"
    empty.touch()
    assert run(broken, images[0], empty, "object", "--json") == 1
    captured = capsys.readouterr()
    assert [e["image"] for e in json.loads(captured.out)] == [str(images[0])]
    lines = captured.err.splitlines()
    assert len(lines) == 3 and segment.DEMO_KNOWS in lines[2]
    assert str(broken) in lines[0]
    assert str(empty) in lines[1]


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_transparent_and_deep_images_are_read(tmp_path, shape, dtype):
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.full(shape, np.iinfo(dtype).max // 2, dtype))
    image = segment.read_image(path)
    assert image.shape == (40, 50, 3)
    assert image.dtype == np.uint8
    assert abs(int(image.max()) - 127) <= 1


@pytest.fixture
def folder(tmp_path, images, monkeypatch):
    """A working folder with files whose names could be phrases."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ball").write_text("notes")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "box").mkdir()
    (tmp_path / "picture").write_bytes(images[0].read_bytes())
    (tmp_path / "cone.png").write_bytes(images[0].read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("items", "extra", "images_found", "phrases"),
    [
        (["cone.png", "red ball"], [], ["cone.png"], ["red ball"]),
        (["red ball", "cone.png", "cone"], [], ["cone.png"], ["red ball", "cone"]),
        (["picture", "ball", "box"], [], ["picture"], ["ball", "box"]),
        (["cone.png", "notes.txt"], [], ["cone.png"], ["notes.txt"]),
        (["cone.png"], ["cone.png", "a/b"], ["cone.png"], ["cone.png", "a/b"]),
        (["cone.png", "cone.png", " ball ", "ball"], [], ["cone.png"], ["ball"]),
    ],
)
def test_images_and_phrases_are_told_apart(folder, items, extra, images_found, phrases):
    found = split_arguments(items, extra)
    assert ([str(p) for p in found[0]], found[1]) == (images_found, phrases)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gone.png", "ball"], "'gone.png' does not exist"),
        (["cone.png", "gone.JPG"], "'gone.JPG' does not exist"),
        (["cone.png", "images/cone"], "'images/cone' does not exist"),
        (["cone.png", "./box"], "'./box' is not an image"),
        (["cone.png"], "at least one phrase"),
        (["cone.png", " "], "at least one phrase"),
        (["ball", "box"], "none of the arguments is an image"),
    ],
)
def test_wrong_usage_is_explained_in_one_line(folder, capsys, words, says):
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "huggingface/sam-3-lite-text"], "never published"),
        (["--model", "/gone"], "no folder"),
        (["--device", "cuda:63"], "cuda:63"),
        (["--image-size", "200"], "multiples of 16"),
    ],
)
def test_errors_are_one_line(folder, capsys, words, says):
    assert run("cone.png", "ball", *words) == 1
    err = capsys.readouterr().err
    assert says in err
    assert err.startswith("samlite segment: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("length", [300, 5000])
def test_phrases_longer_than_any_file_name_are_phrases(network, folder, capsys, length):
    assert run("cone.png", "x" * length) == 0
    assert "x" * length in capsys.readouterr().out
    assert run("cone.png", "x/" * length) == 2
    assert "does not exist" in capsys.readouterr().err


def test_commas_separate_phrases_as_in_a_topic(network, folder, capsys):
    assert run("cone.png", "ball, box,", "--phrase", "red, green", "--json") == 0
    assert [e["phrase"] for e in json.loads(capsys.readouterr().out)] == ["ball", "box", "red, green"]


def test_an_image_on_standard_input(network, images, capsys, monkeypatch, tmp_path):
    assert run(images[0], "object", "--json") == 0
    expected = json.loads(capsys.readouterr().out)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(images[0].read_bytes())))
    assert run("-", "object", "--json", "-o", tmp_path) == 0
    assert json.loads(capsys.readouterr().out) == [{**e, "image": "-"} for e in expected]
    assert (tmp_path / "stdin_overlay.png").exists()


def test_images_and_phrases_may_stand_behind_options(network, images, capsys):
    assert run(images[0], "--threshold", "0.3", PHRASES[0], "--json", PHRASES[1], images[1]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [(e["image"], e["phrase"]) for e in entries] == [(str(i), p) for i in images[:2] for p in PHRASES[:2]]


def test_it_says_where_it_wrote(network, images, capsys, tmp_path):
    assert run(images[0], "object", "--threshold", "0.3", "-o", tmp_path / "out") == 0
    count = len(list((tmp_path / "out").iterdir()))
    assert f"{images[0]}: {count} pictures written to {tmp_path / 'out'}" in capsys.readouterr().err


def test_names_of_pictures_fit_the_file_system_and_differ(network, images, tmp_path):
    long_path = tmp_path / ("\u00e4" * 120 + ".png")
    long_path.write_bytes(images[0].read_bytes())
    assert run(long_path, "object", "--threshold", "0.3", "-o", tmp_path / "out") == 0
    names = {path.name.removeprefix("\u00e4" * 40) for path in (tmp_path / "out").iterdir()}
    assert {"_overlay.png", "_object_1.png"} <= names
    assert segment._all_different(["a", "a", "b" * 99, "b" * 98, "a-2"]) == [
        "a",
        "a-2",
        "b" * 80,
        "b" * 80 + "-2",
        "a-2-2",
    ]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(99), "HEIC"),
        (b"\0\0\0\x18ftypheix" + bytes(99), "HEIC with 10 bits a colour"),
        (b"\0\0\0\x18ftypmp42" + bytes(99), "MP4 video"),
        (b"\0\0\0\x01\x67\x64\0\x1e" + bytes(99), "H.264 video"),
    ],
)
def test_what_cameras_of_today_write_is_named(network, folder, capsys, content, word):
    for name in ("still.heic", "still.jpg"):
        (folder / name).write_bytes(content)
        assert run(name, "ball") == 1
        assert f"it holds {word}: save it as JPEG or PNG" in capsys.readouterr().err


def test_too_long_phrases_are_an_error(network, folder, capsys):
    assert run("cone.png", "ball " * 40) == 1
    assert "42 tokens" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--threshold", "2"], ["--threshold", "x"], ["--nonsense"], ["--image-size", "0"]])
def test_argparse_refuses_the_rest(folder, words):
    with pytest.raises(SystemExit) as caught:
        run("cone.png", "ball", *words)
    assert caught.value.code == 2


def test_a_reader_that_has_seen_enough_is_no_error(network, images, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        monkeypatch.setattr("sys.stdout", closed)
        assert run(images[0], "object") == 0


def test_interrupted(network, images, monkeypatch):
    def interrupt(_path):
        raise KeyboardInterrupt

    monkeypatch.setattr(segment, "read_image", interrupt)
    assert run(images[0], "object") == 130


def test_more_on_standard_input_than_is_read(network, capsys, monkeypatch):
    monkeypatch.setattr("samlite_ros.commands.segment.IMAGE_BYTES", 1000)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bytes(5000))))
    assert run("-", "object") == 1
    assert "standard input has more bytes than are read, at most 1,000" in capsys.readouterr().err


def test_a_file_that_is_larger_than_any_image(network, folder, capsys):
    with open("sparse.png", "wb") as file:
        file.truncate(1 << 40)
    assert run("sparse.png", "object") == 1
    assert "at most 536,870,912 are read" in capsys.readouterr().err


def test_a_name_that_turns_the_direction_of_writing_is_escaped(network, images, capsys):
    name = images[0].with_name("im_\u202egpj.png")
    name.write_bytes(images[0].read_bytes())
    damaged = images[0].with_name("damaged_\u202e.png")
    damaged.write_bytes(images[0].read_bytes()[:300])
    assert run(name, damaged, "object", "-o", images[0].parent / "out\u202e") == 1
    told = capsys.readouterr()
    assert r"im_\u202egpj.png" in told.out and r"damaged_\u202e.png" in told.err
    assert "\u202e" not in told.out + told.err


def test_a_png_of_a_depth_that_is_none_is_not_advised_to_be_one(network, images, capsys):
    data = bytearray(images[0].read_bytes())
    data[24] = 17  # bits of a sample
    bent = images[0].with_name("bent.png")
    bent.write_bytes(data)
    assert run(bent, "object") == 1
    assert "the PNG is damaged" in capsys.readouterr().err


def test_pictures_on_a_full_disk_are_named(network, images, capsys, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run(images[0], "object", "-o", images[0].parent / "out") == 1
    assert "_overlay.png cannot be written: No space left on device" in capsys.readouterr().err
