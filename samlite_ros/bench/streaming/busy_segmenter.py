"""A network of a given latency for live runs: it burns the processor and holds the interpreter, as a real one does.

A fake that sleeps flatters whatever runs beside it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from samlite_ros.bench.wrapped_segmenter import WrappedSegmenter
from samlite_ros.network.host import NICENESS
from samlite_ros.segmenter.contract import ImageEmbedding, PromptEmbedding, Segmenter
from samlite_ros.types import DecodeOptions, Frame, PromptResult
from samlite_ros.virtual.latency import LatencyProfile

HELD_SHARE = 0.5
"""Share of its time in which it holds the interpreter. Beside OpenCV calls of 0.3 ms another thread then waits as long
for the interpreter as beside the demo network on a CPU (0.36 ms each, on average), and longer than beside the full-size
network (0.07 to 0.25 ms); beside a loop that holds it all the time, 1.1 to 1.7 ms."""
CYCLE_S = 2e-4
"""It holds the interpreter and lets it go in turn, so long in all [s]: the time of a small operation of a network."""
_BLOCK = bytes(1 << 15)


class BusySegmenter(WrappedSegmenter):
    """Another segmenter's answers after a profile's latency. See `samlite_ros.segmenter.contract.Segmenter`.

    Args:
        inner: Knows the answers; its own time counts as part of the latency.
        profile: How long each call takes.
        held_share: Share of the time in which the interpreter is held, 0 to 1.
    """

    @property
    def interruptible(self) -> bool:
        """Whatever the inner segmenter is."""
        return True

    def __init__(self, inner: Segmenter, profile: LatencyProfile, held_share: float = HELD_SHARE) -> None:
        super().__init__(inner)
        self._profile, self._held_share = profile, held_share

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """The profile's blocks; what `on_block` does meanwhile comes on top."""
        block_s = self._profile.encode_s / self._profile.blocks
        for _ in range(self._profile.blocks - 1):
            if on_block is not None:
                on_block()
            burn_until(time.perf_counter() + block_s, self._held_share)
        ends_s = time.perf_counter() + block_s
        image = self._inner.embed_image(frame)
        burn_until(ends_s, self._held_share)
        return image

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """So long per phrase, in the profile's steps; what `on_step` does meanwhile comes on top."""
        step_s = self._profile.decode_s * len(prompts.prompts) / self._profile.decode_steps
        for _ in range(self._profile.decode_steps - 1):
            if on_step is not None:
                on_step()
            burn_until(time.perf_counter() + step_s, self._held_share)
        ends_s = time.perf_counter() + step_s
        results = self._inner.segment(image, prompts, options)
        burn_until(ends_s, self._held_share)
        return [replace(result, decode_s=self._profile.decode_s) for result in results]


def burn_until(ends_s: float, held_share: float = HELD_SHARE) -> None:
    """Keep a core busy until this time of `time.perf_counter` [s]; hold the interpreter for a share of it."""
    while (now_s := time.perf_counter()) < ends_s:
        while time.perf_counter() < min(now_s + held_share * CYCLE_S, ends_s):
            pass
        while held_share < 1 and time.perf_counter() < min(now_s + CYCLE_S, ends_s):
            hashlib.sha256(_BLOCK)  # lets the interpreter go, being more than 2 KiB


@contextmanager
def busy_on_a_thread(held_share: float = HELD_SHARE) -> Iterator[None]:
    """A network that never rests, on a thread of this process, while the `with` block runs."""
    stopping = threading.Event()

    def passes() -> None:
        while not stopping.is_set():
            burn_until(time.perf_counter() + 0.01, held_share)

    thread = threading.Thread(target=passes, name="busy network", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@contextmanager
def busy_in_a_process() -> Iterator[None]:
    """A network that never rests, in a process of its own with the priority that the node gives it."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()  # it runs
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    os.nice(NICENESS)
    sys.stdout.write("busy\n")
    sys.stdout.flush()
    while True:
        burn_until(time.perf_counter() + 1.0)
