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
    assert manifest.graph("proposals").inputs["features"].shape == ("n", "l", 64)


def graphs_of(folder):
    return json.loads((folder / MANIFEST).read_text())["graphs"]


def harmed(folder, number, **changes):
    graphs = graphs_of(folder)
    graphs[number] |= changes
    edited(folder, graphs=graphs)


def flattened(folder, place):
    """Inputs of a graph, those of one image as if they were a list of numbers."""
    inputs = graphs_of(folder)[place]["inputs"]
    return {name: t | {"shape": [64]} if name.startswith("convolved") else t for name, t in inputs.items()}


BROKEN = {
    "no JSON": (lambda f: (f / MANIFEST).write_text("{"), "is broken"),
    "a list": (lambda f: (f / MANIFEST).write_text("[]"), "holds a list"),
    "bytes": (lambda f: (f / MANIFEST).write_bytes(b"\xff\xfe\x00"), "is broken"),
    "newer": (lambda f: edited(f, format=99), "its format is 99"),
    "a key is missing": (lambda f: edited(f, queries=None), "'queries' is missing"),
    "of another type": (lambda f: edited(f, image_size="192"), "image_size is '192'"),
    "of no size": (lambda f: edited(f, image_size=-5), "image_size is -5"),
    "of an absurd size": (lambda f: edited(f, image_size=10**9), "image_size is 1000000000"),
    "of another size": (lambda f: edited(f, image_size=96), "image_0 does not take what the one before it gives"),
    "of other queries": (lambda f: edited(f, queries=5), "not of precision fp32, 5 queries"),
    "of another precision": (lambda f: edited(f, precision="fp16"), "not of precision fp16"),
    "parity in words": (lambda f: edited(f, parity={"1": "good"}), "parity and findings are numbers"),
    "versions in a list": (lambda f: edited(f, versions=[1]), r"versions is \[1\]"),
    "stages in another order": (lambda f: edited(f, graphs=graphs_of(f)[2::-1] + graphs_of(f)[3:]), "graphs image_2"),
    "a stage is missing": (lambda f: edited(f, graphs=graphs_of(f)[:1] + graphs_of(f)[2:]), "graphs image_0, image_2"),
    "a graph is a number": (lambda f: edited(f, graphs=[1]), "is broken"),
    "files in a list": (lambda f: harmed(f, 0, files=["a"]), r"graph 'image_0' has files \['a'\]"),
    "the folder above": (lambda f: harmed(f, 0, files={"..": "0"}), "files of graph"),
    "another input": (lambda f: harmed(f, 3, inputs={}), "graph proposals takes  and gives scores"),
    "an image of another form": (
        lambda f: harmed(f, 4, inputs=flattened(f, 4)),
        "masks does not take what the image's",
    ),
    "another output": (lambda f: harmed(f, 0, outputs={}), "image_1 does not take what the one before"),
    "no such precision": (lambda f: edited(f, precision="fp7"), "precision is 'fp7'"),
    "without a graph": (lambda f: edited(f, graphs=graphs_of(f)[:4]), "graphs image_0"),
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


def unreadable(path):
    path.unlink()
    path.symlink_to("/proc/self/mem")


DAMAGED = {
    "another graph": (lambda f: shutil.copy(f / "image_1.onnx", f / "image_2.onnx"), r"image_2\.onnx is not the file"),
    "cut off": (lambda f: truncate(f / "masks.onnx"), r"masks\.onnx is not the file"),
    "unreadable": (lambda f: unreadable(f / "text.onnx"), r"text\.onnx cannot be read"),
    "gone": (lambda f: (f / "text.onnx").unlink(), r"text\.onnx is missing"),
    "another tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), r"tokenizer\.json is not the file"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_was_not_exported_is_named(folder, name):
    spoil, words = DAMAGED[name]
    spoil(folder)
    with pytest.raises(ModelLoadError, match=words):
        check_files(folder, read_manifest(folder))


def test_an_export_from_before_int8_is_read(folder):
    edited(folder, findings=None)
    assert read_manifest(folder).findings == {}


def test_a_file_outside_of_the_folder_is_never_asked_for(folder):
    graphs = graphs_of(folder)
    graphs[0]["files"] = {"../image_0.onnx": "0"}
    edited(folder, graphs=graphs)
    with pytest.raises(ModelLoadError, match="files of graph"):
        read_manifest(folder)
