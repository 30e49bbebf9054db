"""Another backend is an entry in a table: all around the network's passes is there, and knows no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from prompts import prompts
from safetensors import safe_open
from safetensors.numpy import save_file

from samlite_ros.errors import InferenceError, ModelLoadError
from samlite_ros.segmenter import SegmenterOptions, load, load_segmenter
from samlite_ros.segmenter.backend import Proposals, Reuse
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.segmenter.upsample import resample
from samlite_ros.types import DecodeOptions, Frame

CELLS, CHANNELS = 8, {"red": 0, "green": 1, "blue": 2}


class ColourBackend:
    """Finds everything of a primary colour as one instance; numpy alone."""

    model_id, device, image_size, interruptible, out_of_memory = "colours", "nowhere", CELLS, True, MemoryError
    computes, reuse, most_prompts = "with numpy", Reuse(), None
    cut_masks = None
    resample = staticmethod(resample)

    def __init__(self, _options):
        self.encoded, self.batches, self.freed, self.failures = [], [], 0, 0

    def free_memory(self):
        self.freed += 1

    def encode_prompts(self, prompts):
        self.encoded += [p.key for p in prompts]
        return [np.eye(3, dtype=np.float32)[CHANNELS[p.text]] for p in prompts]

    def forget(self, camera):
        pass

    def encode_image(self, image, on_block=None, camera=""):
        rows, columns = (np.arange(CELLS) * side // CELLS for side in image.shape[:2])
        if on_block is not None:
            on_block()
        return image[rows][:, columns] / np.float32(255)  # (CELLS, CELLS, 3)

    def propose(self, image, prompts, on_step=None):
        self.batches.append(len(prompts))
        self.failures -= 1
        if self.failures >= 0 and len(prompts) > 1:
            raise MemoryError
        if on_step is not None:
            on_step()
        share = np.stack([2 * image @ p - image.sum(2) for p in prompts])  # (N, CELLS, CELLS)
        score = share.max((1, 2)).clip(0, 1)
        scores = np.stack([0 * score, score], 1)  # the second of two queries
        boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (*scores.shape, 1))
        return Proposals(scores, score, boxes, share)

    def draw_masks(self, _image, proposals, kept, on_step=None):
        return [
            np.stack([20 * share - 10 for _ in k]) if len(k) else np.zeros((0, CELLS, CELLS), np.float32)
            for k, share in zip(kept, proposals.rest, strict=True)
        ]

    def fingerprint(self):
        return "colours-1"

    def write_features(self, path, features, metadata):
        save_file({"features": features}, path, metadata)

    def read_features(self, path):
        with safe_open(path, framework="np") as file:
            return file.get_tensor("features"), file.metadata()


@pytest.fixture(autouse=True)
def colours(monkeypatch):
    monkeypatch.setitem(load.BACKENDS, "colours", f"{__name__}:ColourBackend")


def make(**options):
    return load_segmenter(SegmenterOptions(backend="colours", **options))


def flag():
    """Red on the left, blue on the right."""
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, :40, 0] = image[:, 40:, 2] = 255
    return Frame(image, 7)


def find(segmenter, *phrases):
    image = segmenter.embed_image(flag())
    return segmenter.segment(image, segmenter.embed_prompts(prompts(*phrases)), [DecodeOptions()] * len(phrases))


def test_a_line_in_the_table_makes_a_segmenter():
    segmenter = make(decode_batch=2)
    assert isinstance(segmenter, Segmenter) and segmenter.model_id == "colours" and segmenter.interruptible
    red, green, blue = find(segmenter, "red", "green", "blue")
    assert [len(r.masks) for r in (red, green, blue)] == [1, 0, 1]
    assert red.masks[0].full()[:, :35].all() and not red.masks[0].full()[:, 45:].any()
    assert blue.masks[0].full()[:, 45:].all() and not blue.masks[0].full()[:, :35].any()
    np.testing.assert_array_equal(red.boxes_xyxy, [[0, 0, 80, 40]])
    assert segmenter.counts.prompts_decoded == 3


def test_both_callbacks_reach_it():
    segmenter, calls = make(), []
    image = segmenter.embed_image(flag(), lambda: calls.append("image"))
    segmenter.segment(image, segmenter.embed_prompts(prompts("red")), [DecodeOptions()], lambda: calls.append("masks"))
    assert calls == ["image", "masks"]


def test_its_features_are_kept_in_memory_and_on_disk(tmp_path):
    first, second = make(text_bank_folder=tmp_path), make(text_bank_folder=tmp_path)
    find(first, "red", "blue")
    find(first, "blue", "red")
    assert first.backend.encoded == ["red", "blue"]
    assert len(find(second, "blue")[0].masks) == 1 and second.backend.encoded == []


@pytest.mark.parametrize(
    ("count", "most", "batches"),
    [
        (3, None, [3]),
        (6, None, [6]),
        (7, None, [4, 3]),
        (10, None, [5, 5]),
        (11, None, [4, 4, 3]),
        (6, 5, [3, 3]),
        (16, 4, [4, 4, 4, 4]),
    ],
)
def test_no_small_batch_is_left_over(count, most, batches):
    segmenter = make(decode_batch=4)
    segmenter.backend.most_prompts = most
    found = find(segmenter, *["red", "blue"] * (count // 2), *["green"] * (count % 2))
    assert len(found) == count and segmenter.backend.batches == batches


@pytest.mark.parametrize(("features_bytes", "at_once"), [(0, 16), (800_000, 16), (2_000_000, 8), (14_000_000, 4)])
def test_more_are_decoded_at_once_where_an_images_features_are_small(features_bytes, at_once):
    segmenter = make()
    image = replace(segmenter.embed_image(flag()), bytes=features_bytes)
    many = prompts(*["red", "blue"] * 32)
    segmenter.segment(image, segmenter.embed_prompts(many), [DecodeOptions()] * len(many))
    assert segmenter.backend.batches == [at_once] * (64 // at_once)


def test_its_lack_of_memory_is_survived_with_one_prompt_at_a_time():
    segmenter = make(decode_batch=2)
    segmenter.backend.failures = 1
    assert [len(r.masks) for r in find(segmenter, "red", "blue")] == [1, 1]
    assert segmenter.backend.freed == segmenter.counts.memory_retries == 1


def test_its_nonsense_is_refused(monkeypatch):
    monkeypatch.setattr(ColourBackend, "encode_image", lambda *_: np.full((CELLS, CELLS, 3), np.nan, np.float32))
    with pytest.raises(InferenceError, match="'red' is not a number"):
        find(make(), "red")


def test_it_needs_no_torch():
    code = (
        "import sys, test_backend as t; t.load.BACKENDS['colours'] = 'test_backend:ColourBackend';"
        " t.find(t.make(), 'red'); print('torch' in sys.modules)"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_backend_is_refused_with_those_that_exist():
    with pytest.raises(ModelLoadError, match=r"backend 'abacus' does not exist: 'auto', 'torch', 'onnx', .*'colours'"):
        load_segmenter(SegmenterOptions(backend="abacus"))
