"""An export behind the segmenter's calls: torch's answers, without torch; what does not fit is refused."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from prompts import prompts

from samlite_ros.errors import InferenceError, ModelLoadError, PhraseTooLongError
from samlite_ros.scenes import render_scene
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.segmenter.exported.backend import ExportedBackend
from samlite_ros.segmenter.exported.manifest import MANIFEST, Tensor, read_manifest, sha256_of
from samlite_ros.segmenter.exported.runtime import DeviceMemoryError
from samlite_ros.segmenter.onnx.providers import Target
from samlite_ros.types import DecodeOptions, Frame

LONG = " ".join(["a red ball beside a blue box"] * 3)
PHRASES = ("red ball", "blue box", "cone", "object", LONG, "thing", "yellow cone")


@pytest.fixture
def segmenter(demo_export):
    return open_export(demo_export)


def open_export(folder, **options):
    return load_segmenter(SegmenterOptions(str(folder), **{"backend": "onnx", "device": "cpu", **options}))


def find(segmenter, image, *phrases, **callbacks):
    embedding = segmenter.embed_image(Frame(image, 7), callbacks.get("on_block"))
    asked = segmenter.embed_prompts(prompts(*phrases))
    return segmenter.segment(embedding, asked, [DecodeOptions()] * len(phrases), callbacks.get("on_step"))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_answers_are_those_of_torch(segmenter, count):
    torch = load_segmenter(SegmenterOptions("demo", device="cpu", backend="torch"))
    instances = 0
    for seed in (8_000_001, 8_000_002):
        image = render_scene(seed).image
        found, wanted = (find(s, image, *PHRASES[:count]) for s in (segmenter, torch))
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
            np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=0.05)
            assert one.presence == pytest.approx(other.presence, abs=1e-4)
            for a, b in zip(one.masks, other.masks, strict=True):
                assert (a.full() & b.full()).sum() > 0.999 * (a.full() | b.full()).sum()
            instances += len(one.masks)
    assert instances or count < 3


def test_it_is_a_segmenter_that_can_be_interrupted(segmenter):
    assert isinstance(segmenter, Segmenter) and segmenter.interruptible
    calls = []
    calm = find(segmenter, render_scene(1).image, "object")

    def late():
        calls.append(len(find(segmenter, render_scene(2).image, "ball")[0].masks))

    found = find(segmenter, render_scene(1).image, "object", on_block=late, on_step=late)
    assert len(calls) == 4  # before each of three stages, and before the masks
    np.testing.assert_array_equal(found[0].scores, calm[0].scores)


def test_no_torch_is_imported(demo_export):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers', 'onnx')));"
        "import test_onnx_backend as t; segmenter = t.open_export(sys.argv[1], backend='auto');"
        "print(len(t.find(segmenter, t.render_scene(1).image, 'object')))"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    command = [sys.executable, "-c", code, str(demo_export)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "1", done.stderr


def test_features_are_kept_on_disk_and_the_text_encoder_is_let_go(demo_export, tmp_path):
    first = open_export(demo_export, text_bank_folder=tmp_path, keep_text_encoder=False)
    image = render_scene(1).image
    wanted = find(first, image, "object", "ball")
    assert "text" not in first.backend.runtime._sessions
    second = open_export(demo_export, text_bank_folder=tmp_path)
    np.testing.assert_array_equal(find(second, image, "ball")[0].scores, wanted[1].scores)
    assert second.counts.prompts_encoded == 0


def test_a_long_phrase_is_refused(segmenter):
    with pytest.raises(PhraseTooLongError):
        segmenter.embed_prompts(prompts("red " * 40))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": 208}, "was exported for image_size 192, not 208"),
        ({"dtype": "bfloat16"}, "was exported as fp32, which dtype 'bfloat16' does not fit"),
        ({"decode_batch": 17}, "at most 16 phrases at once, decode_batch is 17"),
        ({"provider": "cuda"}, "provider 'cuda'"),
        ({"reuse_tokens": True}, "reuse_tokens needs backend 'torch'"),
        ({"backend": "torch"}, "is an export"),
    ],
)
def test_what_an_export_cannot_do_is_refused(demo_export, options, words):
    with pytest.raises(ModelLoadError, match=words):
        open_export(demo_export, **options)


@pytest.mark.parametrize(("one", "other"), [("image_0", "image_1"), ("proposals", "masks")])
def test_another_graph_is_refused_whatever_its_hash(demo_export, tmp_path, one, other):
    folder = shutil.copytree(demo_export, tmp_path / "export")
    shutil.copy(folder / f"{one}.onnx", folder / f"{other}.onnx")
    manifest = json.loads((folder / MANIFEST).read_text())
    for graph in manifest["graphs"]:
        if graph["name"] == other:
            graph["files"] = {f"{other}.onnx": sha256_of(folder / f"{other}.onnx")}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelLoadError, match=rf"{other}\.onnx is not the graph that export\.json describes"):
        open_export(folder)


def test_a_graph_that_gives_another_shape_than_the_next_one_takes_is_refused(demo_export, tmp_path):
    folder = shutil.copytree(demo_export, tmp_path / "export")
    manifest = json.loads((folder / MANIFEST).read_text())
    for side, graph in (("outputs", manifest["graphs"][2]), ("inputs", manifest["graphs"][4])):
        graph[side]["convolved_1"]["shape"] = [1, 64, 48, 48]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelLoadError, match=r"image_2\.onnx is not the graph that export\.json describes"):
        open_export(folder)


def test_a_checkpoint_without_an_export_is_told_how_to_make_one():
    with pytest.raises(ModelLoadError, match=r"model 'demo' is no export, .*`samlite export demo`"):
        open_export("demo")


def test_a_provider_that_does_not_start_is_passed_over_in_words_or_refused(demo_export, monkeypatch, caplog):
    targets = [Target("cuda", 0), Target("cpu", 0)]
    monkeypatch.setattr("samlite_ros.segmenter.onnx.load.choose_targets", lambda *_: targets)
    with caplog.at_level(logging.WARNING):
        assert open_export(demo_export).backend.device == "cpu"
    assert "provider cuda is passed over for cpu: CUDAExecutionProvider could not be started" in caplog.text
    targets.pop()
    with pytest.raises(ModelLoadError, match="CUDAExecutionProvider could not be started"):
        open_export(demo_export)


class Failing:
    """A session that cannot run."""

    def __init__(self, session, message):
        self._session, self._message = session, message

    def io_binding(self):
        return self._session.io_binding()

    def run(self, *_):
        raise RuntimeError(self._message)

    run_with_iobinding = run


@pytest.mark.parametrize(
    ("message", "kind"),
    [("Failed to allocate memory for requested buffer", DeviceMemoryError), ("Reshape", InferenceError)],
)
def test_lack_of_memory_is_told_from_other_failures(segmenter, message, kind):
    sessions = segmenter.backend.runtime._sessions
    whole = sessions["proposals"]
    sessions["proposals"] = Failing(whole, message)
    features = segmenter.embed_prompts(prompts("ball")).features
    image = segmenter.backend.encode_image(render_scene(1).image)
    with pytest.raises(kind, match=message):
        segmenter.backend.propose(image, features)
    sessions["proposals"] = whole
    segmenter.backend.free_memory()
    assert segmenter.backend.propose(image, features).scores.shape == (1, 16)


def test_what_stays_on_a_device_between_graphs_gives_the_same(segmenter, monkeypatch):
    frame, options = Frame(render_scene(1).image, 0), [DecodeOptions(0.0, 2)] * 2
    asked = segmenter.embed_prompts(prompts("red ball", "box"))
    plain = segmenter.segment(segmenter.embed_image(frame), asked, options)
    monkeypatch.setattr(segmenter.backend.runtime, "_binds", True)
    image = segmenter.embed_image(frame)
    assert not any(isinstance(value, np.ndarray) for value in image.features.values())
    for one, other in zip(plain, segmenter.segment(image, asked, options), strict=True):
        assert np.array_equal(one.scores, other.scores) and np.array_equal(one.boxes_xyxy, other.boxes_xyxy)
        assert all(np.array_equal(a.full(), b.full()) for a, b in zip(one.masks, other.masks, strict=True))


def test_it_says_where_it_computes(segmenter):
    assert segmenter.backend.device == "cpu"
    assert segmenter.backend.computes == f"cpu, fp32, ONNX Runtime {onnxruntime.__version__} cpu"


def test_a_batch_takes_as_many_tokens_as_its_longest_phrase(segmenter, monkeypatch):
    lengths, run = [], segmenter.backend.runtime.run

    def watched(graph, inputs, to_host):
        lengths.extend(inputs[name].shape[1] for name in ("features", "mask") if name in inputs)
        return run(graph, inputs, to_host)

    monkeypatch.setattr(segmenter.backend.runtime, "run", watched)
    short, _ = find(segmenter, render_scene(8_000_001).image, "red ball", "object")
    assert set(lengths) == {16}
    lengths.clear()
    beside, _ = find(segmenter, render_scene(8_000_001).image, "red ball", LONG)
    assert set(lengths) == {32}
    np.testing.assert_allclose(beside.scores, short.scores, atol=1e-5)


def test_an_older_export_takes_all_tokens(segmenter, demo_export):
    manifest = read_manifest(demo_export)
    fixed = {**manifest.graph("proposals").inputs, "mask": Tensor("int64", ("n", 32))}
    graphs = [replace(g, inputs=fixed) if g.name == "proposals" else g for g in manifest.graphs]
    manifest = replace(manifest, graphs=tuple(graphs))
    backend = ExportedBackend(demo_export, manifest, segmenter.backend.runtime, segmenter.options)
    image, features = backend.encode_image(render_scene(1).image), backend.encode_prompts(prompts("red ball"))
    assert backend.propose(image, features).rest.inputs["mask"].shape == (1, 32)
