"""Everything around TensorRT's runtime, with a stand-in for the runtime; no TensorRT was there to try it with."""

from __future__ import annotations

import errno
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from prompts import prompts
from tensorrt_standin import Gpu, make_tensorrt

from samlite_ros.errors import InferenceError, ModelLoadError
from samlite_ros.scenes import render_scene
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.exported.backend import ExportedBackend
from samlite_ros.segmenter.exported.doing import what_is_done
from samlite_ros.segmenter.exported.manifest import read_manifest
from samlite_ros.segmenter.exported.runtime import DeviceMemoryError
from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter
from samlite_ros.segmenter.tensorrt import engines, load
from samlite_ros.segmenter.tensorrt.engines import EngineStore, Place
from samlite_ros.segmenter.tensorrt.runtime import TensorRtRuntime
from samlite_ros.types import DecodeOptions, Frame

ALL = ["image_0", "image_1", "image_2", "proposals", "masks", "text"]


def start(export, cache, trt=None, gpu="Orin sm87", device=None):
    trt = trt or make_tensorrt()
    manifest = read_manifest(export)
    store = EngineStore(trt, manifest, Place(export, cache, gpu))
    runtime = TensorRtRuntime(manifest, store, device or Gpu(), trt.__version__)
    options = SegmenterOptions(str(export))
    return Sam3LiteTextSegmenter(ExportedBackend(export, manifest, runtime, options), options), trt


def find(segmenter, *phrases):
    image = segmenter.embed_image(Frame(render_scene(1).image, 1))
    return segmenter.segment(image, segmenter.embed_prompts(prompts(*phrases)), [DecodeOptions()] * len(phrases))


@pytest.mark.parametrize("version", ["10.3.0", "10.16.1", "11.4.0"])
def test_it_gives_the_answers_of_onnx_runtime(demo_export, tmp_path, version):
    segmenter, trt = start(demo_export, tmp_path, make_tensorrt(version))
    other = load_segmenter(SegmenterOptions(str(demo_export), backend="onnx", device="cpu"))
    for one, wanted in zip(find(segmenter, "object", "red ball"), find(other, "object", "red ball"), strict=True):
        np.testing.assert_allclose(one.scores, wanted.scores, atol=1e-5)
        assert [m.area for m in one.masks] == [m.area for m in wanted.masks]
    assert trt.built == ALL
    assert segmenter.backend.device == "cuda:0"
    assert segmenter.backend.computes == f"cuda:0, fp32, TensorRT {version}, engines work in 30 MB"


def test_engines_are_built_once_and_said_meanwhile(demo_export, tmp_path, caplog, monkeypatch):
    told = []
    trt = make_tensorrt()
    build = trt.Builder.build_serialized_network

    def watched(*arguments):
        told.append(what_is_done())
        return build(*arguments)

    monkeypatch.setattr(trt.Builder, "build_serialized_network", watched)
    with caplog.at_level(logging.WARNING):
        start(demo_export, tmp_path, trt)
    assert told[1] == "TensorRT is building engine 2 of 6 (image_1), this takes minutes" and what_is_done() == ""
    assert "engine 4 of 6 (proposals), this takes minutes: there is none yet" in caplog.text
    _, again = start(demo_export, tmp_path)
    assert again.built == []


STALE = {
    "another TensorRT": ({"trt": make_tensorrt("10.3.0")}, 'TensorRT was "10.16.1", is "10.3.0"'),
    "another GPU": ({"trt": make_tensorrt(gpu="Thor sm110"), "gpu": "Thor sm110"}, 'GPU was "Orin sm87", is "Thor'),
}


@pytest.mark.parametrize("name", STALE)
def test_stale_engines_are_built_again_with_the_reason(demo_export, tmp_path, caplog, name):
    start(demo_export, tmp_path)
    changes, words = STALE[name]
    segmenter, trt = start(demo_export, tmp_path, **changes)
    assert trt.built == ALL and words in caplog.text
    trt.built.clear()
    assert find(segmenter, "object")


def harm_key(cache):
    kept = json.loads((cache / "masks.json").read_text())
    (cache / "masks.json").write_text(json.dumps(kept | {"graph": "another"}))


def harm_profile(cache):
    kept = json.loads((cache / "masks.json").read_text())
    (cache / "masks.json").write_text(json.dumps(kept | {"profile": {}}))


HARMED = {
    "cut off": (lambda c: (c / "masks.engine").write_bytes(b"{"), "cannot be loaded (magic tag does not match)"),
    "gone": (lambda c: (c / "masks.engine").unlink(), "there is none yet"),
    "of another graph": (harm_key, 'graph was "another"'),
    "of other sizes": (harm_profile, "profile was {}"),
    "of nothing": (lambda c: (c / "masks.json").write_text("[]"), "the one there is stale"),
    "of noise": (lambda c: (c / "masks.json").write_text("{"), "the one there cannot be read"),
}


@pytest.mark.parametrize("name", HARMED)
def test_one_harmed_engine_is_built_again_with_the_reason(demo_export, tmp_path, caplog, name):
    start(demo_export, tmp_path)
    harm, words = HARMED[name]
    harm(tmp_path)
    _, trt = start(demo_export, tmp_path)
    assert trt.built == ["masks"] and words in caplog.text


def test_a_full_disk_costs_the_next_start_its_time_not_this_one_its_answer(demo_export, tmp_path, caplog, monkeypatch):
    def full(path, data):
        if path.name.startswith("masks.engine"):
            Path.open(path, "wb").close()
            raise OSError(errno.ENOSPC, "No space left on device")
        with path.open("wb") as file:
            return file.write(data)

    monkeypatch.setattr(engines.Path, "write_bytes", full)
    segmenter, _ = start(demo_export, tmp_path)
    assert find(segmenter, "object") and not list(tmp_path.glob("*.partial"))
    assert "cannot be kept ([Errno 28] No space left on device): it is built again at the next start" in caplog.text
    monkeypatch.undo()
    _, trt = start(demo_export, tmp_path)
    assert trt.built == ["masks"]


def test_a_cache_where_nothing_can_be_changed_is_told(demo_export, tmp_path, monkeypatch, caplog):
    start(demo_export, tmp_path)

    def refuse(path, missing_ok=False):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(engines.Path, "unlink", refuse)
    segmenter, trt = start(demo_export, tmp_path, make_tensorrt("10.3.0"))
    assert find(segmenter, "object") and trt.built == ALL
    assert "masks.json cannot be kept ([Errno 13] Permission denied): it is built again" in caplog.text


def test_an_engine_is_not_taken_for_the_one_that_its_description_is_of(demo_export, tmp_path, monkeypatch):
    start(demo_export, tmp_path)
    kept = engines.EngineStore._write
    monkeypatch.setattr(
        engines.EngineStore, "_write", lambda s, name, data: ".json" not in name and kept(s, name, data)
    )
    start(demo_export, tmp_path, make_tensorrt("10.3.0"))  # the disk is full between the two files
    monkeypatch.undo()
    _, trt = start(demo_export, tmp_path)
    assert trt.built == ALL


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ({"refuse": "No importer registered for op: Gelu"}, r"cannot read .*image_0\.onnx: No importer .* op: Gelu"),
        ({"fail": "Could not find any implementation"}, r"cannot build .*image_0\.onnx: Could not find any .*memory"),
    ],
)
def test_what_tensorrt_cannot_build_is_told_in_its_words(demo_export, tmp_path, failure, words):
    trt = make_tensorrt()
    vars(trt).update(failure)
    with pytest.raises(ModelLoadError, match=words):
        start(demo_export, tmp_path, trt)


def test_memory_is_used_again_and_its_end_is_survived(demo_export, tmp_path):
    device = Gpu()
    segmenter, _ = start(demo_export, tmp_path, device=device)
    find(segmenter, "object")
    segmenter.backend.free_memory()
    find(segmenter, "object")
    buffers = len(device.buffers)
    for _ in range(3):
        find(segmenter, "object")
    assert len(device.buffers) == buffers
    device.limit = 0
    segmenter.backend.free_memory()
    with pytest.raises(DeviceMemoryError):
        segmenter.backend.encode_image(render_scene(1).image)
    device.limit = None
    assert find(segmenter, "object")


def test_sizes_outside_of_the_profile_and_failures_are_errors(demo_export, tmp_path):
    segmenter, _ = start(demo_export, tmp_path)
    backend = segmenter.backend
    image, features = backend.encode_image(render_scene(1).image), backend.encode_prompts(prompts("ball"))
    with pytest.raises(InferenceError, match=r"features of shape \(17, 16, 64\) is outside of the engine's profile"):
        backend.propose(image, features * 17)
    backend.runtime._contexts["proposals"].works = False
    with pytest.raises(InferenceError, match="failed to compute graph proposals"):
        backend.propose(image, features)


def test_a_graph_that_is_let_go_is_opened_again(demo_export, tmp_path):
    segmenter, _ = start(demo_export, tmp_path)
    segmenter.backend.runtime.unload("text")
    assert find(segmenter, "object")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "tensorrt is not installed: on a Jetson it is JetPack's"),
        ({"device": "cpu"}, "device 'cpu' is no GPU"),
    ],
)
def test_what_is_missing_is_named(demo_export, monkeypatch, options, words):
    if options:
        monkeypatch.setattr("samlite_ros.segmenter.tensorrt.find_spec", lambda name: name)
    with pytest.raises(ModelLoadError, match=words):
        load_segmenter(SegmenterOptions(str(demo_export), backend="tensorrt", **options))


def test_an_old_or_broken_tensorrt_is_named(monkeypatch):
    monkeypatch.setattr(load, "import_module", lambda _: make_tensorrt("8.6.1"))
    with pytest.raises(ModelLoadError, match=r"TensorRT 8\.6\.1 is too old, 10 is the oldest"):
        load._tensorrt()

    def broken(_):
        raise ImportError("libnvdla_compiler.so: cannot open shared object file")

    monkeypatch.setattr(load, "import_module", broken)
    with pytest.raises(ModelLoadError, match=r"cannot be imported: libnvdla_compiler\.so.*docs/jetson\.md"):
        load._tensorrt()
