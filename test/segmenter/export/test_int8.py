"""int8: the demo network's image graphs, calibrated on rendered scenes, find what float32 finds; or are refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from exports import export_small
from small_networks import Shape, make_checkpoint

from samlite_ros.errors import ExportError
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.scenes import render_scene
from samlite_ros.scenes.vocabulary import COLOURS, SHAPES
from samlite_ros.segmenter.export import int8
from samlite_ros.segmenter.export.export import Exporter
from samlite_ros.segmenter.export.findings import Findings, check_findings, compare_findings, summary
from samlite_ros.segmenter.export.int8 import Calibration, in_int8
from samlite_ros.segmenter.export.operators import check_operators
from samlite_ros.segmenter.export.options import ExportOptions
from samlite_ros.segmenter.export.quantise import quantise_stages
from samlite_ros.segmenter.exported.manifest import UNFINISHED, check_files, read_manifest
from samlite_ros.segmenter.pytorch.backend import TorchBackend

PHRASES = ("object", *(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS))[:9]


def images(first, count):
    return [render_scene(seed).image for seed in range(first, first + count)]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(demo_export, tmp_path):
    return shutil.copytree(demo_export, tmp_path / "export")


def test_it_finds_what_float32_finds_and_takes_its_place(folder):
    told = []
    calibration = Calibration(images(9_400_000, 12), images(9_500_000, 12), PHRASES)
    manifest = in_int8(folder, read_manifest(folder), calibration, told.append)
    check_files(folder, manifest)
    assert {p.name for p in folder.glob("image*")} == {f"image_{i}_int8.onnx" for i in range(3)}
    found = manifest.findings
    assert found["recall"] >= 0.99 and found["mask_iou"] >= 0.99 and found["presence"] < 0.01 and found["found"] > 10
    assert told[0] == "image_0 is calibrated on 12 frames" and told[-1] == "int8 is judged on 12 frames, 9 phrases"


def test_only_products_with_weights_are_rounded_and_as_tensorrt_reads_it(folder):
    manifest = read_manifest(folder)
    (graph,) = quantise_stages(folder, [manifest.graph("image_0")], manifest.image_size, images(1, 2))
    model = onnx.load(folder / graph.file)
    made = {output: node for node in model.graph.node for output in node.output}
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    rounded = 0
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            sources = [made[name].op_type for name in node.input[:2] if name in made]
            rounded += sources == ["DequantizeLinear"] * 2
        if node.op_type == "DequantizeLinear":
            assert types.get(node.input[0], onnx.TensorProto.INT8) == onnx.TensorProto.INT8
    assert rounded == 12  # of two layers: queries and keys in halves; values; the output; both of the MLP
    assert graph.inputs == manifest.graph("image_0").inputs


def test_where_the_quantiser_fails_it_is_told_and_its_files_are_gone(folder, monkeypatch):
    def fail_half_way(path, *_, **__):
        Path(path).with_name("image_0-inferred.onnx").write_bytes(b"half of it")
        raise ValueError("Wire format was corrupt")

    monkeypatch.setattr("onnxruntime.quantization.quantize_static", fail_half_way)
    before, manifest = files(folder), read_manifest(folder)
    with pytest.raises(ExportError, match=r"image_0 cannot be rounded: Wire format was corrupt; \d+ MB are free in"):
        in_int8(folder, manifest, Calibration(images(1, 1), images(2, 1), PHRASES), lambda _: None)
    assert files(folder) == before


def test_a_bias_in_int32_is_none_that_tensorrt_reads():
    helper = onnx.helper
    bias = helper.make_tensor("bias", onnx.TensorProto.INT32, [1], [3])
    scale = helper.make_tensor("scale", onnx.TensorProto.FLOAT, [], [0.5])
    node = helper.make_node("DequantizeLinear", ["bias", "scale"], ["out"])
    out = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1])
    with pytest.raises(ExportError, match="DequantizeLinear of int32"):
        check_operators(helper.make_model(helper.make_graph([node], "g", [], [out], [bias, scale])), "image_0")


DARK = [np.zeros((64, 64, 3), np.uint8)]
REFUSED = {
    "nothing is found": (Calibration(DARK, DARK, PHRASES[:2]), "float32 finds none of 'object', .*--phrases"),
    "calibrated on the dark": (
        Calibration(DARK, images(9_500_000, 3), PHRASES),
        r"does not find what float32 finds .*mask_iou 0\.9\d+ \(at least 0\.99\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_the_folder_as_it_was(folder, name):
    before, (calibration, words) = files(folder), REFUSED[name]
    with pytest.raises(ExportError, match=words):
        in_int8(folder, read_manifest(folder), calibration, lambda _: None)
    assert files(folder) == before


def test_an_export_that_was_there_is_there_in_float32_after_a_refusal(tmp_path):
    export_small(Shape(), tmp_path, parity=False)
    options = ExportOptions("small", precision="int8")
    calibration = Calibration(DARK, DARK, PHRASES)
    exporter = Exporter(TorchBackend(make_checkpoint(Shape())), tmp_path, options, lambda _: None, calibration)
    with pytest.raises(ExportError, match="float32 finds none"):
        exporter.export()
    manifest = read_manifest(tmp_path)
    check_files(tmp_path, manifest)
    assert manifest.precision == "fp32" and not list(tmp_path.glob("*_int8.onnx"))
    assert not (tmp_path / UNFINISHED).exists()


@pytest.mark.parametrize("within", ["compare_findings", "replace"])
def test_an_interruption_leaves_the_folder_as_it_was(folder, monkeypatch, within):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    before = files(folder)
    monkeypatch.setattr(int8, within, interrupt)
    with pytest.raises(KeyboardInterrupt):
        in_int8(folder, read_manifest(folder), Calibration(DARK, DARK, PHRASES), lambda _: None)
    assert files(folder) == before


class Answers:
    """A segmenter that gives prepared answers: of each phrase its presence and its masks."""

    def __init__(self, **of_phrase):
        self._of_phrase = of_phrase

    def embed_prompts(self, prompts):
        return [prompt.text for prompt in prompts]

    def embed_image(self, frame):
        return frame

    def segment(self, image, asked, options):
        answers = [self._of_phrase[phrase] for phrase in asked]
        return [SimpleNamespace(presence=p, masks=tuple(map(square, at))) for p, at in answers]


def square(x):
    inside = np.zeros((20, 60), bool)
    inside[5:15, x : x + 10] = True
    return mask_from_array(inside)


def test_things_are_counted_by_what_they_cover():
    wanted = Answers(cup=(0.9, [0, 20, 40]), box=(0.6, []))
    got = Answers(cup=(0.8, [41, 20, 30]), box=(0.4, [0]))
    findings = compare_findings(wanted, got, [np.zeros((20, 60, 3), np.uint8)], ["cup", "box"])
    cup, box = findings["cup"], findings["box"]
    assert (cup.found, cup.lost, cup.extra, cup.flips) == (3, 1, 1, 0)
    assert (box.found, box.lost, box.extra, box.flips) == (0, 0, 1, 1)
    told = summary(findings)
    assert told["recall"] == told["least_recall"] == pytest.approx(2 / 3)
    assert told["presence"] == pytest.approx(0.15) and told["presence_flips"] == 0.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"lost": 2}, r"recall 0\.9867 \(at least 0\.99\)"),
        ({"flips": 2}, r"presence_flips 0\.0200 \(at most 0\.01\)"),
        ({"presence": 2.0}, r"presence 0\.0200 \(at most 0\.01\)"),
        ({"ious": [0.98]}, r"mask_iou 0\.9800 \(at least 0\.99\)"),
        ({"ious": [float("nan")]}, "mask_iou nan"),
    ],
)
def test_every_bound_is_held(changes, words):
    whole = {"frames": 100, "found": 150, "lost": 1, "ious": [0.995]}
    findings = {"cup": Findings(**(whole | changes))}
    if not words:
        check_findings(findings)
        return
    with pytest.raises(ExportError, match=words):
        check_findings(findings)


def test_a_phrase_that_loses_much_is_named_among_many_that_lose_nothing():
    rich = Findings(frames=100, found=1000, ious=[1.0])
    check_findings({"cup": rich, "door": Findings(frames=100, found=4, lost=1)})
    with pytest.raises(ExportError, match="'door' loses 2 of 4"):
        check_findings({"cup": rich, "door": Findings(frames=100, found=4, lost=2)})
