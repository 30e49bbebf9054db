"""Stored prompts that are spoilt, disks that are full or cannot be written: told, set aside, computed again."""

import os
import resource
from pathlib import Path

import pytest
import torch
from prompts import prompts
from safetensors.torch import load_file, save_file

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter

BACKEND = load_segmenter(SegmenterOptions(device="cpu")).backend


def segmenter_of(folder: Path | None) -> Sam3LiteTextSegmenter:
    """Another run of the same network."""
    return Sam3LiteTextSegmenter(BACKEND, SegmenterOptions(device="cpu", text_bank_folder=folder))


@pytest.fixture(scope="module")
def wanted():
    return features(segmenter_of(None))


def features(segmenter):
    (found,) = segmenter.embed_prompts(prompts("red ball")).features
    return found.features


def stored(folder: Path) -> Path:
    features(segmenter_of(folder))
    (path,) = folder.rglob("*.safetensors")
    return path


def rewritten(**changes):
    def harm(path):
        parts = {**load_file(path), **{name: change(load_file(path)[name]) for name, change in changes.items()}}
        save_file(parts, path, {"phrase": "red ball"})

    return harm


def replaced(make):
    def harm(path):
        path.unlink()
        make(path)

    return harm


SPOILT = {
    "NaN": rewritten(features=lambda t: t * float("nan")),
    "one infinite number": rewritten(features=lambda t: t.index_fill(1, torch.tensor([3]), float("inf"))),
    "another length": rewritten(features=lambda t: t[:, :16].contiguous()),
    "another width": rewritten(features=lambda t: t[..., :8].contiguous()),
    "another type": rewritten(features=lambda t: t.to(torch.float16)),
    "more dimensions": rewritten(features=lambda t: t[None].contiguous()),
    "a mask of other numbers": rewritten(mask=lambda t: t * 7),
    "a mask of another length": rewritten(mask=lambda t: t[:, :5].contiguous()),
    "of another phrase": lambda path: save_file(load_file(path), path, {"phrase": "blue ball"}),
    "without its mask": lambda path: save_file({"features": load_file(path)["features"]}, path, {"phrase": "red ball"}),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "text": lambda path: path.write_text("no tensors"),
    "a header of 2^60 bytes": lambda path: path.write_bytes((1 << 60).to_bytes(8, "little") + b"{}"),
    "a hundred megabytes": lambda path: os.truncate(path, 100_000_000),
    "a pipe": replaced(os.mkfifo),
    "a folder": replaced(Path.mkdir),
    "a device": replaced(lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": replaced(lambda path: path.symlink_to(path)),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_entry_is_set_aside_told_and_computed_again(tmp_path, caplog, wanted, name):
    path = stored(tmp_path)
    SPOILT[name](path)
    again = segmenter_of(tmp_path)
    assert torch.equal(features(again), wanted)
    assert again.counts.prompts_encoded == 1
    assert "spoilt" in caplog.text and "computed again" in caplog.text
    third = segmenter_of(tmp_path)
    assert torch.equal(features(third), wanted) and third.counts.prompts_encoded == 0
    assert caplog.text.count("spoilt:") == 1


def test_a_full_disk_costs_the_next_run_time_and_leaves_nothing_behind(tmp_path, caplog, wanted):
    segmenter = segmenter_of(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        assert torch.equal(features(segmenter), wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "no longer kept on disk" in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_written_costs_no_answer(tmp_path, caplog, wanted):
    segmenter = segmenter_of(Path("/proc/nowhere"))
    assert torch.equal(features(segmenter), wanted)
    assert "no longer kept on disk" in caplog.text


def test_a_folder_of_a_user_that_there_is_not_is_told_in_words():
    with pytest.raises(ModelLoadError, match="text_bank_folder ~nobody_of_this_name"):
        segmenter_of(Path("~nobody_of_this_name/bank"))
