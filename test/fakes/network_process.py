"""A network in a process of its own whose answers are made of what it is asked, without ROS and torch."""

import gc
import os
import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
from prompts import prompts

from samlite_ros.errors import ModelLoadError, PhraseTooLongError
from samlite_ros.network import host as network_host
from samlite_ros.network.host import NetworkHost
from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, Mask, Prompt, PromptEmbedding, PromptResult

DEADLINE_S = 20.0


class Network:
    """Answers are made of what it is asked, so that nothing can be mixed up; knows how many embeddings live."""

    model_id = "net"
    interruptible = True

    def __init__(self, blocks=3, block_s=0.0):
        self.blocks, self.block_s = blocks, block_s
        self.living = 0

    def embed_prompts(self, prompts):
        for phrase in (prompt.text for prompt in prompts):
            if phrase == "toolong":
                raise PhraseTooLongError(phrase, 40, 32)
            if phrase == "strange":
                raise StrangeError(lambda: None)
            if phrase == "die":
                os._exit(7)
        return PromptEmbedding(tuple(prompts), self.model_id, [prompt.text.upper() for prompt in prompts])

    def embed_image(self, frame, on_block=None):
        is_warm_up = frame.size == (480, 640)  # it need not take long
        for _ in range(self.blocks if on_block is not None and not is_warm_up else 0):
            on_block()
            time.sleep(self.block_s)
        return ImageEmbedding(frame.stamp_ns, frame.camera, frame.size, self.model_id, Features(self, frame.image))

    def segment(self, image, prompts, options, on_step=None):
        if not image.model_id == prompts.model_id == self.model_id:
            raise ValueError(f"image of {image.model_id!r}")
        for _ in range(self.blocks if on_step is not None else 0):
            on_step()
            time.sleep(self.block_s)
        return [self._result(image, phrase, o) for phrase, o in zip(prompts.features, options, strict=True)]

    def _result(self, image, phrase, options):
        pixels = image.features.image
        mask = Mask(1, 2, pixels[..., 0], image.size, 100)
        box = np.array([[1, 2, 3, 4]], np.float32)
        score = np.array([options.score_threshold], np.float32)
        name = f"{phrase} {image.stamp_ns} {image.camera} {self.living} living"
        return PromptResult(Prompt(name), float(pixels.mean()), score, box, (mask,))


class Features:
    """Counted while it lives."""

    def __init__(self, owner, image):
        self.owner, self.image = owner, image
        owner.living += 1

    def __del__(self):
        self.owner.living -= 1


class PlainNetwork(Network):
    """Cannot be interrupted."""

    interruptible = False

    def embed_image(self, frame, on_block=None):
        return super().embed_image(frame)

    def segment(self, image, prompts, options, on_step=None):
        return super().segment(image, prompts, options)


class StrangeError(Exception):
    """Cannot be pickled."""


def make(parameters):
    """The factory; parameters are the network's arguments, or what goes wrong."""
    if parameters == "missing":
        raise ModelLoadError("no such folder")
    if parameters == "broken":
        raise KeyError("weights")
    return Network(*parameters)


@contextmanager
def a_host(factory=make):
    gc.collect()  # shared memory that tests before have left would be forked along
    with patch.object(network_host.threading, "active_count", lambda: 1):  # pytest-xdist has threads that only wait
        host = NetworkHost.start(factory)
    try:
        yield host
    finally:
        host.close()


def frame(stamp_ns=7, size=(6, 8)):
    return Frame(np.random.default_rng(stamp_ns).integers(0, 255, (*size, 3), np.uint8), stamp_ns, "optical", "left")


def ask(network, image, *phrases, **options):
    return network.segment(
        image, network.embed_prompts(prompts(*phrases)), [DecodeOptions(0.25)] * len(phrases), **options
    )


def wait_until(condition, what):
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.005)


def runs(pid):
    """A process that ended and was not waited for yet does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
