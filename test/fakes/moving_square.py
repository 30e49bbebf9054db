"""A square that moves, and answers of a given age about it: what the streaming measures are tested on."""

import numpy as np

from samlite_ros.pixels.masks import mask_bounds_xyxy, mask_from_array
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.streaming.answer import Published
from samlite_ros.types import Frame, Instance, Prompt, Query, QueryKey, QueryMatch, Segmentation

PERIOD_NS = 33_333_333
QUERY = Query(QueryKey("bench", "thing 0"), Prompt("thing 0"), 0)


def truth_frames(count, step=2):
    """A square of 40 px that moves to the right."""
    out = []
    for i in range(count):
        ids = np.zeros((120, 160), np.uint8)
        ids[40:80, 20 + step * i : 60 + step * i] = 7
        image = np.full((120, 160, 3), 100, np.uint8)
        image[ids > 0] = (200, 40, 40)
        out.append(TruthFrame(Frame(image, 1_000_000_000 + i * PERIOD_NS), ids, frozenset({7})))
    return out


def answer(truth, index, at_ms, track_id=1, of=None):
    """The truth of frame `of` (or of the frame itself) as the answer of frame `index`, published at a time."""
    shown = truth[index if of is None else of]
    mask = mask_from_array(shown.ids == 7)
    stamp = truth[index].frame.stamp_ns
    instance = Instance(
        track_id, (QueryMatch(QUERY, 0.9),), 0.9, False, shown.frame.stamp_ns, mask_bounds_xyxy(mask), mask
    )
    segmentation = Segmentation(stamp, "", "", (120, 160), "m", 1, shown.frame.stamp_ns, (), (instance,))
    return Published(segmentation, stamp + int(at_ms * 1e6), 0.001)
