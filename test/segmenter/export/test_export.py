"""What is exported computes what the checkpoint computes, whatever its shape and however many phrases."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import onnx
import pytest
from exports import PHRASES, export_small
from prompts import prompts
from small_networks import Shape, make_checkpoint, make_frame

from samlite_ros.errors import ExportError, ModelLoadError
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.export import export, parity
from samlite_ros.segmenter.export.export import Exporter
from samlite_ros.segmenter.export.options import ExportOptions
from samlite_ros.segmenter.exported.manifest import (
    MANIFEST,
    TOKENIZER,
    UNFINISHED,
    Graph,
    is_export,
    read_manifest,
    sha256_of,
)
from samlite_ros.segmenter.pytorch.backend import TorchBackend

WHOLE = {
    "score": 0.0,
    "presence": 0.0,
    "box_px": 0.0,
    "mask_iou": 1.0,
    "any_box_px": 0.0,
    "any_mask_iou": 1.0,
}
SHAPES = {
    "square windows": Shape(),
    "padded windows": Shape(80, 8, 48, 4, 4, (1, 3), 64, 8, 17, 2, 3, 48, 4, 32),
    "ends with windows, stretched positions": Shape(112, 14, 64, 4, 3, (0, 2), 32, 2, 30, 3, 1, 64, 5, 77),
    "a stage of the pixel decoder that no map is for": Shape(stages=3),
}


@pytest.mark.parametrize("name", SHAPES)
def test_parity_holds_for_every_number_of_phrases(name, tmp_path):
    manifest = export_small(SHAPES[name], tmp_path, seed=3)
    assert list(manifest.parity) == ["1", "2", "3", "4"]
    for found in manifest.parity.values():
        assert found["score"] < 1e-4 and found["any_box_px"] < 0.05 and found["any_mask_iou"] > 0.999
    assert read_manifest(tmp_path) == manifest and not (tmp_path / UNFINISHED).exists()


def test_in_float16_islands_stay_float32(tmp_path):
    manifest = export_small(Shape(), tmp_path, precision="fp16", parity=False)
    assert {t.dtype for t in manifest.graph("image_0").outputs.values()} == {"float16"}
    for graph in manifest.graphs:
        model = onnx.load(tmp_path / graph.file)
        types = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.value_info, *model.graph.output)}
        for node in model.graph.node:
            if node.op_type in ("Softmax", "LayerNormalization", "InstanceNormalization", "Log"):
                assert types[node.output[0]] == onnx.TensorProto.FLOAT, (graph.name, node.op_type)


def exporter(folder, **options):
    chosen = ExportOptions("small", **{"max_prompts": len(PHRASES), **options})
    lines = []
    return Exporter(TorchBackend(make_checkpoint(Shape())), folder, chosen, lines.append), lines


class Writer:
    """Writes no graph, only its name; is interrupted once, at one of them."""

    def __init__(self, interrupted_at=""):
        self.interrupted_at, self.written = interrupted_at, []

    def __call__(self, part, folder):
        if part.name == self.interrupted_at:
            self.interrupted_at = ""
            raise KeyboardInterrupt
        self.written.append(part.name)
        path = folder / f"{part.name}.onnx"
        path.write_text(part.name)
        return Graph(part.name, {path.name: sha256_of(path)}, {}, {})


def test_an_interrupted_export_goes_on_where_it_was(tmp_path, monkeypatch):
    writer = Writer("masks")
    monkeypatch.setattr(export, "write_graph", writer)
    with pytest.raises(KeyboardInterrupt):
        exporter(tmp_path)[0].export()
    assert not is_export(tmp_path)
    (tmp_path / "image_0.onnx").write_bytes(b"damaged meanwhile")
    again, lines = exporter(tmp_path)
    again.export()
    assert writer.written == ["image_0", "proposals", "image_0", "masks", "text"]
    assert sum("there already" in line for line in lines) == 1
    assert is_export(tmp_path)


def test_a_full_disk_is_told_and_leaves_whole_graphs_alone(tmp_path, monkeypatch):
    def write_half(model, path):
        Path(path).write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as full:
        full.setattr(onnx, "save", write_half)
        with pytest.raises(ExportError, match=r"image_0.partial cannot be written: No space left.* MB are free"):
            exporter(tmp_path)[0].export()
    assert not list(tmp_path.glob("*.partial")) and not is_export(tmp_path)


def test_a_tokenizer_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / TOKENIZER).mkdir()
    with pytest.raises(ExportError, match=r"tokenizer\.json cannot be written"):
        exporter(tmp_path)[0].export()


@pytest.mark.parametrize("backend", ["auto", "onnx"])
def test_an_interrupted_export_is_no_model_yet(backend, tmp_path):
    (tmp_path / UNFINISHED).write_text("{}")
    with pytest.raises(ModelLoadError, match=r"was interrupted: the same `samlite export` again"):
        load_segmenter(SegmenterOptions(str(tmp_path), backend=backend, device="cpu"))


def test_what_another_export_has_left_is_not_taken(tmp_path, monkeypatch):
    writer = Writer("text")
    monkeypatch.setattr(export, "write_graph", writer)
    with pytest.raises(KeyboardInterrupt):
        exporter(tmp_path)[0].export()
    other, lines = exporter(tmp_path, precision="fp16")
    other.export()
    assert not any("there already" in line for line in lines)
    assert json.loads((tmp_path / MANIFEST).read_text())["precision"] == "fp16"


def test_graphs_that_another_version_made_are_not_taken(tmp_path, monkeypatch):
    writer = Writer("text")
    monkeypatch.setattr(export, "write_graph", writer)
    with pytest.raises(KeyboardInterrupt):
        exporter(tmp_path)[0].export()
    monkeypatch.setattr(export, "_SOURCES", ("onnx",))
    again, lines = exporter(tmp_path)
    again.export()
    assert not any("there already" in line for line in lines)


def test_an_export_that_is_not_the_checkpoint_is_refused_and_not_left(tmp_path, monkeypatch):
    found = WHOLE | {"score": 2e-4, "box_px": 0.01}
    monkeypatch.setattr(export, "write_graph", Writer())
    monkeypatch.setattr(export, "_onnx_backend", lambda *_: None)
    monkeypatch.setattr(parity.Reference, "compare", lambda *_: {"1": found | {"score": 0.0}, "3": found})
    broken, _ = exporter(tmp_path)
    broken.ask([make_frame().image], prompts(*PHRASES))
    with pytest.raises(ExportError, match=r"not the checkpoint: with 3 phrases score 0\.0002 \(at most 0\.0001\)$"):
        broken.export()
    assert not is_export(tmp_path) and not (tmp_path / UNFINISHED).exists()


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_not_a_number_is_no_parity(name):
    parity.check({"1": WHOLE}, "fp32")
    with pytest.raises(ExportError, match="nan"):
        parity.check({"1": WHOLE | {name: float("nan")}}, "fp32")


def test_half_precision_is_judged_by_what_is_found():
    parity.check({"1": WHOLE | {"score": 0.01, "any_mask_iou": 0.9, "any_box_px": 40.0}}, "fp16")
    with pytest.raises(ExportError, match=r"mask_iou 0\.98000 \(at least 0\.99\)"):
        parity.check({"1": WHOLE | {"mask_iou": 0.98}}, "fp16")
