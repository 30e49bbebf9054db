"""The network that knows the truth."""

import numpy as np
import pytest
from moving_square import truth_frames

from samlite_ros.bench.streaming.oracle import Imperfection, OracleSegmenter, oracle_vocabulary


@pytest.mark.parametrize("count", [1, 2])
def test_the_oracle_gives_the_truth_of_the_frame_it_was_shown(count):
    truth = truth_frames(3)
    oracle = OracleSegmenter(truth, count)
    asked = [q.prompt for q in oracle_vocabulary(count).queries]
    results = oracle.segment(oracle.embed_image(truth[1].frame), oracle.embed_prompts(asked), [])
    (owner,) = (r for r in results if len(r.masks))
    assert owner.prompt.display == f"thing {7 % count}"
    assert np.array_equal(owner.masks[0].full(), truth[1].ids == 7)


def test_imperfections_are_the_same_for_everybody():
    truth = truth_frames(40)
    spoil = Imperfection(border_px=2.0, miss=0.3)
    masks = [[spoil.apply(t.ids == 7, 7, t.frame.stamp_ns) for t in truth] for _ in range(2)]
    missed = [m is None for m in masks[0]]
    assert missed == [m is None for m in masks[1]] and 4 < sum(missed) < 20
    kept = [(a, b, t) for a, b, t in zip(*masks, truth, strict=True) if a is not None]
    assert all(np.array_equal(a, b) for a, b, _ in kept)
    overlaps = [(a & (t.ids == 7)).sum() / (a | (t.ids == 7)).sum() for a, _, t in kept]
    assert 0.7 < np.mean(overlaps) < 0.97
