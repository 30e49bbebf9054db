"""A folder that is not what export.json says is refused, with what is wrong and what to do."""

from __future__ import annotations

import json
import shutil

import pytest

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.exported.manifest import MANIFEST, check_files, read_manifest, write_manifest


@pytest.fixture
def folder(demo_export, tmp_path):
    return shutil.copytree(demo_export, tmp_path / "export")


def edited(folder, **changes):
    content = json.loads((folder / MANIFEST).read_text()) | changes
    (folder / MANIFEST).write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_it_is_read_as_it_was_written(folder):
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    write_manifest(folder, manifest)
    assert read_manifest(folder) == manifest
    assert manifest.stages == ("image_0", "image_1", "image_2") and manifest.max_prompts == 16
    assert manifest.graph("proposals").inputs["features"].shape == ("n", 32, 64)


def graphs_of(folder):
    return json.loads((folder / MANIFEST).read_text())["graphs"]


BROKEN = {
    "no JSON": (lambda f: (f / MANIFEST).write_text("{"), "is broken"),
    "a list": (lambda f: (f / MANIFEST).write_text("[]"), "holds a list"),
    "bytes": (lambda f: (f / MANIFEST).write_bytes(b"\xff\xfe\x00"), "is broken"),
    "newer": (lambda f: edited(f, format=99), "its format is 99"),
    "a key is missing": (lambda f: edited(f, queries=None), "'queries' is missing"),
    "of another type": (lambda f: edited(f, image_size="192"), "image_size is '192'"),
    "no such precision": (lambda f: edited(f, precision="fp7"), "precision 'fp7'"),
    "without a graph": (
        lambda f: edited(f, graphs=json.loads((f / MANIFEST).read_text())["graphs"][:4]),
        "graphs image_0",
    ),
    "missing": (lambda f: (f / MANIFEST).unlink(), "has no export.json: `samlite export MODEL -o"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_manifest_is_named(folder, name):
    spoil, words = BROKEN[name]
    spoil(folder)
    with pytest.raises(ModelLoadError, match=words):
        read_manifest(folder)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


DAMAGED = {
    "another graph": (lambda f: shutil.copy(f / "image_1.onnx", f / "image_2.onnx"), r"image_2\.onnx is not the file"),
    "cut off": (lambda f: truncate(f / "masks.onnx"), r"masks\.onnx is not the file"),
    "gone": (lambda f: (f / "text.onnx").unlink(), r"text\.onnx is missing"),
    "another tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), r"tokenizer\.json is not the file"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_was_not_exported_is_named(folder, name):
    spoil, words = DAMAGED[name]
    spoil(folder)
    with pytest.raises(ModelLoadError, match=words):
        check_files(folder, read_manifest(folder))


def test_a_file_outside_of_the_folder_is_never_asked_for(folder):
    graphs = graphs_of(folder)
    graphs[0]["files"] = {"../image_0.onnx": "0"}
    edited(folder, graphs=graphs)
    with pytest.raises(ModelLoadError, match="files of graph"):
        read_manifest(folder)
