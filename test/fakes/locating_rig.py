"""Somebody who listens to places, with depth, images and a clock that are moved by hand."""

import numpy as np
from painted_depth import CALIBRATION, SIZE, background, noisy, rectangle

from samlite_ros.live import locating as module
from samlite_ros.live.locating import Locating
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.space.locator import Locator
from samlite_ros.streaming.companions import Companions
from samlite_ros.types import DepthImage, Frame, Instance, Segmentation

MASK = rectangle(100, 60, 160, 140)
STEP_NS = 33_000_000


def frame(index: int) -> Frame:
    return Frame(np.zeros((*SIZE, 3), np.uint8), (1 + index) * STEP_NS, "optical")


def depth(index: int, frame_id: str = "optical") -> DepthImage:
    values = background()
    values[MASK] = 1.0
    return DepthImage(noisy(values, index), (1 + index) * STEP_NS, frame_id)


def answer(index: int) -> Segmentation:
    stamp_ns = (1 + index) * STEP_NS
    thing = Instance(3, (), 0.9, False, stamp_ns, (0, 0, 1, 1), mask_from_array(MASK))
    return Segmentation(stamp_ns, "optical", "", SIZE, "m", 1, stamp_ns, (), (thing,))


class Rig:
    """Somebody who listens, and a clock."""

    def __init__(self, monkeypatch, target=None):
        self.listens, self.shows, self.sent, self.recorded, self.now_s = True, True, [], [], 0.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now_s)
        self.companions = Companions(lambda message: message)
        self.companions.put(CALIBRATION)
        self.locating = Locating(self.companions, Locator(), self, self.recorded.append, target)

    def wants_places(self):
        return self.listens

    def shows_places(self):
        return self.shows

    def publish_places(self, located, frame):
        self.sent.append(located)

    def answer(self, index):
        self.locating.add(answer(index), self.companions.attach(frame(index)))

    def depth(self, index, **options):
        self.companions.put(depth(index, **options))
        self.locating.advance()

    @property
    def stamps(self):
        return [located.answer.stamp_ns // STEP_NS - 1 for located in self.sent]
