"""Phrases become the tokens that transformers makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import AutoTokenizer

from samlite_ros.errors import ModelLoadError, PhraseTooLongError
from samlite_ros.segmenter.exported.tokenizer import PhraseTokenizer
from samlite_ros.segmenter.sources import DEMO_FOLDER

PHRASES = [
    "red ball",
    "",
    "THE  blue\tbox",
    "xyzzy",
    "\uff52\uff45\uff44 cone",
    "a red ball and the blue box " * 4 + "or thing",
]


def test_tokens_are_those_of_transformers():
    reference = AutoTokenizer.from_pretrained(DEMO_FOLDER, local_files_only=True)
    wanted = reference(PHRASES, padding="max_length", max_length=32)
    ids, mask = PhraseTokenizer(DEMO_FOLDER / "tokenizer.json", reference.pad_token_id)(PHRASES)
    np.testing.assert_array_equal(ids, wanted.input_ids)
    np.testing.assert_array_equal(mask, wanted.attention_mask)


def test_a_phrase_beyond_the_context_is_refused_with_its_count():
    with pytest.raises(PhraseTooLongError, match="needs 42 tokens"):
        PhraseTokenizer(DEMO_FOLDER / "tokenizer.json", 0)(["ball", "red " * 40])


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelLoadError, match=r"tokenizer\.json cannot be read"):
        PhraseTokenizer(tmp_path / "tokenizer.json", 0)
