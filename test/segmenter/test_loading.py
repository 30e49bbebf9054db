"""Loading a checkpoint: what works, and what the error says where it does not."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from prompts import prompts
from safetensors.torch import load_file, save_file
from small_networks import Shape, make_checkpoint, make_frame, make_segmenter

from samlite_ros.errors import InferenceError, ModelLoadError
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.pytorch import dependencies
from samlite_ros.segmenter.pytorch.checkpoint import choose_attention, load_checkpoint
from samlite_ros.segmenter.pytorch.dependencies import check_dependencies
from samlite_ros.segmenter.pytorch.random_weights import RANDOM_MODELS, random_model
from samlite_ros.segmenter.sources import DEMO_FOLDER, PUBLISHED
from samlite_ros.types import DecodeOptions

CPU = torch.device("cpu")


def load(name, **options):
    return load_checkpoint(SegmenterOptions(model=str(name), device="cpu", **options))


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(DEMO_FOLDER, tmp_path / "model", copy_function=shutil.copyfile)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("huggingface/sam-3-lite-text", "never published.*vil-uob/sam3-litetext-s0"),
        ("facebook/sam3_lite_text", "never published.*vil-uob/sam3-litetext-s0"),
        ("facebook/sam3", "gated.*another architecture.*vil-uob/sam3-litetext-s0"),
        ("SamModel", "class.*not a checkpoint.*vil-uob"),
        ("Sam3LiteTextModel", "class.*not a checkpoint.*vil-uob"),
        ("sam3-litetext-s1", "did you mean 'vil-uob/sam3-litetext-s1'"),
        ("/no/such/folder", "no folder '/no/such/folder'.*'demo'"),
        ("", "no folder ''.*'demo'"),
        (str(DEMO_FOLDER / "model.safetensors"), "is a file: give the folder"),
    ],
)
def test_wrong_names_get_the_right_one(name, says):
    with pytest.raises(ModelLoadError, match=says) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder, edit):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, {"format": "pt"})


def cut(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


HARM = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "broken config": (lambda f: (f / "config.json").write_text("{"), "config.json cannot be read"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "holds a list"),
    "another architecture": (lambda f: edit_config(f, model_type="sam3"), "architecture 'sam3', only 'sam3_lite_text'"),
    "impossible config": (lambda f: edit_config(f, detr_encoder_config={"hidden_size": "x"}), "no network can be made"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
    "a pickle": (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickle.*only safetensors"),
    "cut weights": (lambda f: cut(f / "model.safetensors", 0.6), "corrupt or cut off.*fetch it again"),
    "cut header": (lambda f: cut(f / "model.safetensors", 0.001), "corrupt or cut off"),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "corrupt or cut off"),
    "a pointer": (
        lambda f: (f / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "git lfs pull",
    ),
    "missing shard": (
        lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}'),
        "missing: model-1.safetensors",
    ),
    "missing key": (
        lambda f: edit_weights(f, lambda t: t.pop("text_projection.weight")),
        "lacks 1 of the network's weights.*text_projection.weight",
    ),
    "wrong shape": (
        lambda f: edit_weights(f, lambda t: t.update({"text_projection.bias": torch.zeros(3)})),
        r"text_projection.bias is \(3,\), expected \(64,\)",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer"),
    "broken tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "no tokenizer that can be read"),
}


@pytest.mark.parametrize("harm", HARM)
def test_harmed_checkpoints_are_refused(folder, harm):
    do_harm, says = HARM[harm]
    do_harm(folder)
    with pytest.raises(ModelLoadError, match=says) as caught:
        load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "package"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "(bitsandbytes|accelerate)"),
        ({"quant_method": "gptq", "bits": 4}, "(gptqmodel|optimum|auto-gptq|accelerate)"),
        ({"quant_method": "compressed-tensors"}, "compressed.tensors"),
    ],
)
def test_a_quantised_checkpoint_without_its_library_says_what_to_type(folder, method, package):
    edit_config(folder, quantization_config=method)
    with pytest.raises(ModelLoadError, match=rf"cannot be loaded.*Type: {sys.executable} -m pip install {package}"):
        load_segmenter(SegmenterOptions(model=str(folder), device="cpu"))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ModuleNotFoundError("No module named 'acme.kernels'", name="acme.kernels"), "pip install acme"),
        (ImportError("acme needs `pip install -U acme-kernels>=2`"), "pip install acme-kernels"),
        (ImportError("cannot import name 'x' from 'tokenizers'", name="tokenizers"), "--force-reinstall tokenizers"),
        (ImportError("libcudart.so.12: cannot open shared object file"), "--force-reinstall torch transformers"),
        (ImportError("libtorch.so: undefined symbol: x", name="_C"), "--force-reinstall torch transformers"),
        (
            ImportError("libtorch_cpu.so: failed to map segment from shared object", name="_C"),
            "failed to map segment from shared object. Free some, or raise the limit (ulimit -v)",
        ),
    ],
)
def test_whatever_cannot_be_imported_is_a_load_error(monkeypatch, error, line):
    def fail(*_):
        raise error

    monkeypatch.setattr("samlite_ros.segmenter.pytorch.backend.TorchBackend.load", fail)
    with pytest.raises(ModelLoadError) as caught:
        load_segmenter(SegmenterOptions(device="cpu"))
    assert str(caught.value).endswith(line) and "'demo'" in str(caught.value)


def test_a_sharded_checkpoint_loads(folder):
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, part in shards.items():
        save_file({n: tensors[n] for n in part}, folder / file, {"format": "pt"})
    weight_map = {n: file for file, part in shards.items() for n in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (folder / "model.safetensors").unlink()
    found, wanted = load(folder).model.state_dict(), load("demo").model.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device": "tpu"}, "device 'tpu'"),
        ({"device": "cuda:63"}, "cuda:63.*CUDA"),
        ({"dtype": "int8"}, "dtype 'int8'.*'bfloat16'"),
        ({"attention": "flash"}, "attention 'flash'"),
        ({"image_size": 200}, "multiples of 16 px.*192"),
    ],
)
def test_impossible_options_are_refused(options, says):
    with pytest.raises(ModelLoadError, match=says):
        load_checkpoint(SegmenterOptions(**({"device": "cpu"} | options)))


@pytest.mark.parametrize("options", [{"decode_batch": -1}, {"threads": -1}, {"image_size": 0}, {"text_bank_size": 0}])
def test_impossible_numbers_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SegmenterOptions(**options)


def test_choices_for_this_device():
    assert choose_attention("auto", CPU, 144) == "eager"
    assert choose_attention("auto", CPU, 5184) == "sdpa"
    assert choose_attention("auto", torch.device("cuda"), 144) == "sdpa"
    assert choose_attention("eager", torch.device("cuda"), 5184) == "eager"


def test_another_image_size_and_dtype_work():
    segmenter = load_segmenter(SegmenterOptions(device="cpu", image_size=256, dtype="bfloat16"))
    image = segmenter.embed_image(make_frame(0, 100, 140))
    assert image.features.maps[0].shape[-2:] == (64, 64)
    assert image.features.maps[0].dtype == torch.bfloat16
    (result,) = segmenter.segment(image, segmenter.embed_prompts(prompts("object")), [DecodeOptions(0.0)])
    assert np.isfinite(result.scores).all()
    assert len(result.masks) > 0


def test_loading_says_nothing_on_the_terminal(capfd):
    load("demo")
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_importing_the_package_does_not_import_torch():
    code = "import samlite_ros.segmenter, samlite_ros.commands.cli, sys; print('torch' in sys.modules)"
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_missing_and_old_packages_are_named_with_the_line_to_type(monkeypatch):
    monkeypatch.setattr(dependencies, "find_spec", lambda name: None if name == "torch" else object())
    monkeypatch.setattr(dependencies.metadata, "version", lambda _name: "5.5.4")
    with pytest.raises(ModelLoadError) as caught:
        check_dependencies()
    message = str(caught.value)
    assert "torch is not installed" in message
    assert "transformers 5.5.4 is too old" in message
    assert re.search(r"-m pip install 'torch>=2.4' 'transformers>=5.6'", message)


def test_present_packages_pass():
    check_dependencies()


def test_random_full_size_networks_are_seeded():
    config = make_checkpoint(Shape()).model.config
    first, again, other = (random_model(config, torch.float32, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert all(torch.isfinite(value).all() for value in first.values())
    assert list(RANDOM_MODELS) == ["random:s0"]


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub that answers every request with one status."""

    status = 404
    error = "RepoNotFound"

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("X-Error-Code", self.error)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - the server's name

    def log_message(self, *_args):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Starts a hub with one answer; the client believes that it is the real one, and has an empty cache."""
    from huggingface_hub import _snapshot_download, constants, hf_api

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Hub,), {}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_snapshot_download, "HfApi", lambda **_options: hf_api.HfApi(endpoint=address))
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (404, "RepoNotFound", "neither a folder here nor on the hub"),
        (403, "GatedRepo", "gated"),
        (None, "", "hub cannot be reached.*samlite download"),
    ],
)
def test_hub_answers_become_load_errors(hub, status, error, says):
    if status is None:
        hub.shutdown()
        hub.server_close()
    hub.RequestHandlerClass.status, hub.RequestHandlerClass.error = status, error
    with pytest.raises(ModelLoadError, match=says):
        load("vil-uob/sam3-litetext-s0" if status is None else "somebody/something")


def test_published_names_are_hub_ids():
    assert PUBLISHED == ("vil-uob/sam3-litetext-s0", "vil-uob/sam3-litetext-s1", "vil-uob/sam3-litetext-l")


class Failing:
    """Makes a module raise or lie for its first calls."""

    def __init__(self, module, times, act):
        self.left, self._act, self._forward = times, act, module.forward
        module.forward = self

    def __call__(self, *args, **kwargs):
        if self.left <= 0:
            return self._forward(*args, **kwargs)
        self.left -= 1
        return self._act(lambda: self._forward(*args, **kwargs))


def out_of_memory(_forward):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


@pytest.fixture
def prepared():
    segmenter = make_segmenter(decode_batch=3)
    text = segmenter.embed_prompts(prompts("red ball", "cone", "box", "object"))
    image = segmenter.embed_image(make_frame())
    return segmenter, image, text, [DecodeOptions(0.0)] * 4


def test_lack_of_memory_is_survived_once(prepared):
    segmenter, image, text, options = prepared
    wanted = segmenter.segment(image, text, options)
    Failing(segmenter.backend.checkpoint.model.dot_product_scoring, 1, out_of_memory)
    found = segmenter.segment(image, text, options)
    assert [r.prompt.display for r in found] == [p.display for p in text.prompts]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    Failing(segmenter.backend.checkpoint.model.vision_encoder.neck.fpn_layers[0], 1, out_of_memory)
    segmenter.embed_image(make_frame())
    assert segmenter.counts.memory_retries == 2


def test_lasting_lack_of_memory_is_an_error(prepared):
    segmenter, image, text, options = prepared
    Failing(segmenter.backend.checkpoint.model.dot_product_scoring, 99, out_of_memory)
    with pytest.raises(InferenceError, match=r"no memory.*decode one phrase"):
        segmenter.segment(image, text, options)
    Failing(segmenter.backend.checkpoint.model.vision_encoder.neck.fpn_layers[0], 99, out_of_memory)
    with pytest.raises(InferenceError, match=r"no memory.*one image at 64 px"):
        segmenter.embed_image(make_frame())


def test_numbers_that_are_not_finite_never_get_out(prepared):
    segmenter, image, text, options = prepared
    scoring = segmenter.backend.checkpoint.model.dot_product_scoring

    def spoil_some(forward):
        logits = forward()
        logits[..., :2, :] = float("nan")
        return logits

    Failing(scoring, 2, spoil_some)
    results = segmenter.segment(image, text, options)
    assert all(len(r.scores) == 6 and np.isfinite(r.scores).all() for r in results)
    assert segmenter.counts.non_finite == 8
    Failing(scoring, 1, lambda forward: forward() * float("nan"))
    with pytest.raises(InferenceError, match=r"'red ball' is not a number.*float32"):
        segmenter.segment(image, text, options)
