"""What fuzzing once found, and each target's own seeds: tried again within bounds of time and memory."""

import multiprocessing
import os

import fuzz
import pytest

FOUND = sorted(path.relative_to(fuzz.CORPUS) for path in fuzz.CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", FOUND, ids=str)
def test_what_was_once_found_is_read_or_refused(path):
    fuzz.try_one(path.parent.name, (fuzz.CORPUS / path).read_bytes())


@pytest.mark.parametrize("name", sorted(set(fuzz.ALL) - {"checkpoint_loading"}))
def test_seeds_are_read_or_refused(name):
    for data in fuzz.ALL[name].seeds():
        fuzz.try_one(name, data)
        fuzz.try_one(name, data[: len(data) // 2])


def test_a_finding_and_a_death_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path)

    def die(data):
        if data:
            os.abort()

    monkeypatch.setitem(fuzz.ALL, "image", fuzz.TARGETS["image"].__class__(die, lambda: [b""]))
    count, data = fuzz.run_round("image", 1, 5.0)
    assert count > 0 and data
    assert fuzz.keep("image", data).read_bytes() == data
    assert not multiprocessing.active_children()
