"""A segmenter of known answers for tests of the node; run as a program it is the node with it inside.

The phrase "red thing" is found where the image is red, and so on for green and blue; "fail" raises in `segment`,
"toolong" is refused by the text encoder; any other phrase is not there. The environment says how long a pass takes:
FAKE_BLOCKS blocks of FAKE_BLOCK_S seconds each, burnt with the interpreter held, as the real network does; loading
takes FAKE_LOAD_S seconds.
"""

import os
import sys
import time

import numpy as np

from samlite_ros.errors import ModelLoadError, PhraseTooLongError
from samlite_ros.pixels.masks import mask_bounds_xyxy, mask_from_array
from samlite_ros.types import ImageEmbedding, PromptEmbedding, PromptResult

SCORE = 0.9
WARM_UP_NS = 1  # stamp of the image that the node warms the network up with
COLORS = ("red", "green", "blue")


class FakeSegmenter:
    """Finds coloured pixels; counts what it is asked."""

    model_id = "fake"
    interruptible = True

    def __init__(self, blocks: int = 1, block_s: float = 0.0) -> None:
        self.blocks, self.block_s = blocks, block_s

    def embed_prompts(self, prompts):
        for prompt in prompts:
            if prompt.text == "toolong":
                raise PhraseTooLongError(prompt.text, 40, 32)
        return PromptEmbedding(tuple(prompts), self.model_id, None)

    def embed_image(self, frame, on_block=None):
        for _ in range(self.blocks if frame.stamp_ns > WARM_UP_NS else 1):
            if on_block is not None:
                on_block()
            burn(self.block_s)
        return ImageEmbedding(frame.stamp_ns, frame.camera, frame.size, self.model_id, frame.image)

    def segment(self, image, prompts, options, on_step=None):
        if on_step is not None:
            on_step()
        return [self._find(image.features, prompt) for prompt in prompts.prompts]

    def _find(self, image, prompt):
        if prompt.text == "fail":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        channel = next((i for i, color in enumerate(COLORS) if prompt.text.startswith(color)), None)
        inside = np.zeros(image.shape[:2], bool)
        if channel is not None:
            inside = (image[..., channel] > 150) & (np.delete(image, channel, 2).max(2) < 100)
        if not inside.any():
            return PromptResult(prompt, 0.1, np.zeros(0, np.float32), np.zeros((0, 4), np.float32), ())
        mask = mask_from_array(inside)
        boxes = np.array([mask_bounds_xyxy(mask)], np.float32)
        return PromptResult(prompt, 0.95, np.array([SCORE], np.float32), boxes, (mask,))


def burn(seconds: float) -> None:
    """Be busy and hold the interpreter."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def make(options):
    """What the node calls: the parameter `model` may name a failure."""
    if options.model == "missing":
        raise ModelLoadError("torch is not installed. Type: pip install torch")
    time.sleep(float(os.environ.get("FAKE_LOAD_S", "0")))
    return FakeSegmenter(int(os.environ.get("FAKE_BLOCKS", "1")), float(os.environ.get("FAKE_BLOCK_S", "0")))


if __name__ == "__main__":
    from samlite_ros.node.main import main

    sys.exit(main(segmenter_factory=make))
