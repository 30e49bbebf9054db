"""The benchmark of many phrases measures what it says, on small amounts of it."""

import numpy as np
from fake_segmenter import FakeSegmenter, found

from samlite_ros.bench import budget
from samlite_ros.pixels.masks import mask_from_array


def columns(figures):
    return {figure.column: figure.value for figure in figures}


def test_a_slow_machine_shows_masks_with_a_budget_only():
    without, with_budget = (columns(budget.slow_machine(8, budget_s, 130)) for budget_s in (0.0, 0.35))
    assert without["answers with a mask [%]"] == 0 and with_budget["answers with a mask [%]"] > 30
    assert with_budget["the same twice"] == 1


def test_what_left_is_found_in_the_past(monkeypatch):
    scenes = [budget.render_scene(seed, (240, 320)).image for seed in (1, 2)]
    phrases = iter(("a", "b"))
    monkeypatch.setattr(budget, "_only_in_first", lambda *_: (next(phrases), next(phrases)))

    def find(frame, prompt, options):
        is_first = np.isin(frame.image.sum(), [image.sum(dtype=np.int64) for image in scenes[:1]])
        thing = np.ones(frame.size, bool) if is_first == (prompt.text == "a") else None
        return found(prompt, [] if thing is None else [mask_from_array(thing)])

    told = columns(budget.looking_back(FakeSegmenter(find), 1.0, 0.3))
    assert told["found"] == 1 and 0 < told["seen before it left by [s]"] < 0.5
    assert told["looks"] <= told["keyframes since it left"] + 1
