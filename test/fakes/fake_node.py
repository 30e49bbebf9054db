"""The node with a network of known answers inside; run it as a program.

"red thing" is found where the image is red, and so on for green and blue; "fail" raises in `segment`, "toolong" is
refused by the text encoder, "hang" never comes back from it, nor does the model of that name; anything else is not
there. The environment says how long a pass takes: FAKE_BLOCKS blocks of FAKE_BLOCK_S seconds each, burnt with the
interpreter held; loading takes FAKE_LOAD_S seconds.
"""

import os
import sys
import time

if __name__ == "__main__":
    from samlite_ros.node.signals import EarlySignals

    EarlySignals()

import numpy as np
from fake_segmenter import FakeSegmenter, Pace, found, refuse_too_long

from samlite_ros.errors import ModelLoadError
from samlite_ros.pixels.masks import mask_from_array

SCORE = 0.9
COLORS = ("red", "green", "blue")


def find_color(frame, prompt, options):
    """All pixels of a colour are one thing."""
    if prompt.text == "fail":
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    channel = next((i for i, color in enumerate(COLORS) if prompt.text.startswith(color)), None)
    inside = np.zeros(frame.size, bool)
    if channel is not None:
        inside = (frame.image[..., channel] > 150) & (np.delete(frame.image, channel, 2).max(2) < 100)
    return found(prompt, [mask_from_array(inside)] if inside.any() else [], (SCORE, SCORE), (0.1, 0.95))


def refuse(prompt):
    """Some prompts cannot be embedded."""
    refuse_too_long(prompt)
    if prompt.text == "hang":
        time.sleep(3600)


def make(options):
    """What the node calls: the parameter `model` may name a failure."""
    if options.model == "missing":
        raise ModelLoadError("torch is not installed. Type: pip install torch")
    time.sleep(3600 if options.model == "hang" else float(os.environ.get("FAKE_LOAD_S", "0")))
    blocks, block_s = int(os.environ.get("FAKE_BLOCKS", "1")), float(os.environ.get("FAKE_BLOCK_S", "0"))
    return FakeSegmenter(find_color, pace=Pace(blocks, block_s, busy=True), refuse=refuse, records=False)


if __name__ == "__main__":
    from samlite_ros.node.main import main

    sys.exit(main(segmenter_factory=make))
