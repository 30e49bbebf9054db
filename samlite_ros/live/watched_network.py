"""A network whose calls are watched."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from samlite_ros.live.watchdog import Watchdog, Work
from samlite_ros.network.local import Between, Found, Network
from samlite_ros.segmenter.contract import ImageEmbedding
from samlite_ros.types import DecodeOptions, Frame, Prompt

WARM_UP_PROMPT = Prompt("thing")


def warm_up(network: Network, between: Between) -> float:
    """A first pass, which takes longer than others; returns how long [s].

    Args:
        network: Was just loaded.
        between: See `Between`.

    Raises:
        Exception: What keeps the network from working.
    """
    frame, began_s = Frame(np.zeros((480, 640, 3), np.uint8), 1), time.monotonic()
    for error in network.search(frame, [WARM_UP_PROMPT], [DecodeOptions()], between).refused.values():
        raise error
    network.forget(frame.camera)  # it is no camera's image
    return time.monotonic() - began_s


class WatchedNetwork:
    """The same network, watched. Implements `samlite_ros.network.local.Network`.

    Args:
        network: Does the work.
        watchdog: Is told when it begins and ends.
    """

    def __init__(self, network: Network, watchdog: Watchdog) -> None:
        self._network, self._watchdog = network, watchdog
        self.look, self.check, self.close, self.forget = network.look, network.check, network.close, network.forget

    @property
    def model_id(self) -> str:
        """See `Network`."""
        return self._network.model_id

    @property
    def computes(self) -> str:
        """See `Network`."""
        return self._network.computes

    @property
    def interruptible(self) -> bool:
        """See `Network`."""
        return self._network.interruptible

    @property
    def pid(self) -> int | None:
        """See `Network`."""
        return self._network.pid

    def embed(self, prompts: Sequence[Prompt]) -> dict[Prompt, Exception]:
        """See `Network`."""
        with self._watchdog.watching(Work.EMBED, len(prompts)):
            return self._network.embed(prompts)

    def search(
        self,
        frame: Frame,
        prompts: Sequence[Prompt],
        options: Sequence[DecodeOptions],
        between: Between | None = None,
    ) -> Found:
        """See `Network`."""
        with self._watchdog.watching(Work.PASS, len(prompts)):
            return self._network.search(frame, prompts, options, between)

    def decode(
        self,
        image: ImageEmbedding,
        prompts: Sequence[Prompt],
        options: Sequence[DecodeOptions],
        between: Between | None = None,
    ) -> Found:
        """See `Network`."""
        with self._watchdog.watching(Work.DECODE, len(prompts)):
            return self._network.decode(image, prompts, options, between)
