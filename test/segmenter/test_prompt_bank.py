"""Phrases: padding, refusal, and the bank in memory and on disk."""

from __future__ import annotations

import shutil

import pytest
import torch
from prompts import prompts
from safetensors import safe_open
from small_networks import make_segmenter

from samlite_ros.errors import ModelLoadError, PhraseTooLongError
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.pytorch.decoder import join
from samlite_ros.segmenter.sources import DEMO_FOLDER


def encoded(segmenter):
    return segmenter.counts.prompts_encoded


def test_phrases_are_padded_to_exactly_32():
    segmenter, shapes = make_segmenter(), []
    segmenter.backend.checkpoint.model.text_encoder.register_forward_hook(
        lambda _m, _a, kwargs, _o: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    text = segmenter.embed_prompts(prompts("ball", "a red ball"))
    assert shapes == [(2, 32)]
    assert join(text.features).mask.sum(1).tolist() == [3, 5]


@pytest.mark.parametrize(("words", "fits"), [(30, True), (31, False), (100, False)])
def test_longer_phrases_are_refused_with_the_count(words, fits):
    segmenter, phrase = make_segmenter(), "ball " * words
    if fits:
        assert join(segmenter.embed_prompts(prompts(phrase)).features).mask.sum() == 32
        return
    with pytest.raises(PhraseTooLongError, match=f"{words + 2} tokens .* takes 32") as caught:
        segmenter.embed_prompts(prompts("cone", phrase))
    assert caught.value.tokens == words + 2
    assert encoded(segmenter) == 0


def test_no_phrases_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        make_segmenter().embed_prompts([])


def test_bank_forgets_the_least_recently_used():
    segmenter = make_segmenter(text_bank_size=2)
    for phrases, total in [(["a", "ball"], 2), (["a"], 2), (["cone"], 3), (["a"], 3), (["ball"], 4)]:
        segmenter.embed_prompts(prompts(*phrases))
        assert encoded(segmenter) == total, phrases


def test_more_phrases_than_the_bank_holds_are_still_answered():
    segmenter = make_segmenter(text_bank_size=1)
    features = join(segmenter.embed_prompts(prompts("ball", "cone", "ball")).features).features
    assert features.shape[0] == 3
    assert torch.equal(features[0], features[2])
    assert encoded(segmenter) == 2


def test_disk_bank_serves_the_next_run(tmp_path):
    first = make_segmenter(text_bank_folder=tmp_path)
    wanted = join(first.embed_prompts(prompts("red ball", "cone/../x")).features)
    second = make_segmenter(text_bank_folder=tmp_path)
    found = join(second.embed_prompts(prompts("cone/../x", "red ball")).features)
    assert encoded(second) == 0
    assert torch.equal(found.features.flip(0), wanted.features)
    assert torch.equal(found.mask.flip(0), wanted.mask)


def test_the_file_of_a_phrase_is_named_as_ever_so_that_older_banks_serve(tmp_path):
    make_segmenter(text_bank_folder=tmp_path).embed_prompts(prompts("red ball"))
    (path,) = tmp_path.rglob("*.safetensors")
    assert path.name == "11dff45b948d35a1807aa144cc9cc390.safetensors"
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"phrase": "red ball"}


@pytest.mark.parametrize("harm", ["cut", "empty", "garbage"])
def test_damaged_disk_entries_are_computed_again(tmp_path, harm):
    wanted = join(make_segmenter(text_bank_folder=tmp_path).embed_prompts(prompts("ball")).features)
    (path,) = tmp_path.rglob("*.safetensors")
    data = path.read_bytes()
    path.write_bytes({"cut": data[:-5], "empty": b"", "garbage": b"x" * 100}[harm])
    again = make_segmenter(text_bank_folder=tmp_path)
    assert torch.equal(join(again.embed_prompts(prompts("ball")).features).features, wanted.features)
    assert encoded(again) == 1
    assert path.read_bytes() == data


def test_a_disk_that_cannot_be_written_does_not_stop_the_answer(tmp_path, caplog):
    occupied = tmp_path / "file"
    occupied.touch()
    segmenter = make_segmenter(text_bank_folder=occupied)
    for phrase in ("ball", "cone"):
        assert join(segmenter.embed_prompts(prompts(phrase)).features).mask.sum() == 3
    own = [r.levelname for r in caplog.records if r.name.startswith("samlite_ros")]
    assert own == ["WARNING"]
    assert str(occupied) in caplog.text


def test_other_weights_do_not_share_disk_entries(tmp_path):
    make_segmenter(seed=1, text_bank_folder=tmp_path).embed_prompts(prompts("ball"))
    other = make_segmenter(seed=2, text_bank_folder=tmp_path)
    other.embed_prompts(prompts("ball"))
    assert encoded(other) == 1
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_text_encoder_can_be_freed_and_comes_back():
    kept, freed = (load_segmenter(SegmenterOptions(device="cpu", keep_text_encoder=keep)) for keep in (True, False))
    assert freed.backend.checkpoint.model.text_encoder is None
    for phrase in ("red ball", "cone"):
        torch.testing.assert_close(
            join(freed.embed_prompts(prompts(phrase)).features).features,
            join(kept.embed_prompts(prompts(phrase)).features).features,
        )
        assert freed.backend.checkpoint.model.text_encoder is None
    freed.embed_prompts(prompts("red ball"))
    assert encoded(freed) == 2


def test_freed_text_encoder_whose_file_is_gone(tmp_path):
    folder = shutil.copytree(DEMO_FOLDER, tmp_path / "model")
    segmenter = load_segmenter(SegmenterOptions(model=str(folder), device="cpu", keep_text_encoder=False))
    shutil.rmtree(folder)
    with pytest.raises(ModelLoadError, match="text"):
        segmenter.embed_prompts(prompts("ball"))


def test_random_network_without_files_keeps_its_text_encoder():
    segmenter = make_segmenter(keep_text_encoder=False)
    segmenter.embed_prompts(prompts("ball"))
    assert segmenter.backend.checkpoint.model.text_encoder is not None
