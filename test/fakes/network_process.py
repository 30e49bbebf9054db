"""A network in a process of its own whose answers are made of what it is asked, without ROS and torch."""

import gc
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from fake_segmenter import FakeSegmenter, Pace, refuse_too_long
from prompts import prompts

from samlite_ros.errors import ModelLoadError
from samlite_ros.network import host as network_host
from samlite_ros.network.host import NetworkHost
from samlite_ros.types import DecodeOptions, Frame, Mask, Prompt, PromptResult

DEADLINE_S = 20.0


def make_echo(blocks: int = 3, block_s: float = 0.0, **settings: Any) -> FakeSegmenter:
    """A network whose answers are made of what it is asked and how many embeddings live: nothing can be mixed up."""

    def tell(frame: Frame, prompt: Prompt, options: DecodeOptions) -> PromptResult:
        if prompt.text == "fail":
            raise RuntimeError("CUDA out of memory")
        text = f"{prompt.text.upper()} {frame.stamp_ns} {frame.camera} {echo.living} living"
        mask = Mask(1, 2, frame.image[..., 0], frame.size, 100)
        score, box = np.array([options.score_threshold], np.float32), np.array([[1, 2, 3, 4]], np.float32)
        return PromptResult(Prompt(text), float(frame.image.mean()), score, box, (mask,))

    settings = {"refuse": go_wrong, **settings}
    echo = FakeSegmenter(tell, "net", Pace(blocks, block_s, blocks, block_s), **settings)
    return echo


def go_wrong(prompt: Prompt) -> None:
    """Some prompts cannot be embedded, or end the process."""
    refuse_too_long(prompt)
    if prompt.text == "strange":
        raise StrangeError(lambda: None)
    if prompt.text == "die":
        os._exit(7)


class StrangeError(Exception):
    """Cannot be pickled."""


def make(parameters: Any) -> FakeSegmenter:
    """The factory; parameters are those of `make_echo`, or what goes wrong."""
    if parameters == "missing":
        raise ModelLoadError("no such folder")
    if parameters == "broken":
        raise KeyError("weights")
    return make_echo(*parameters)


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


def embed(network, image, between=None):
    """The image's embedding: a search for nothing."""
    return network.search(image, (), (), between).image


def ask(network, image, *phrases):
    return network.decode(image, prompts(*phrases), [DecodeOptions(0.25)] * len(phrases)).results


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
