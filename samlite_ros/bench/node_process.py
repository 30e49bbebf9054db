"""The node as it is, around a segmenter whose time is logged: `python -m samlite_ros.bench.node_process`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from samlite_ros.bench.wrapped_segmenter import WrappedSegmenter
from samlite_ros.node.main import main
from samlite_ros.segmenter.load import load_segmenter
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, PromptEmbedding, PromptResult, Segmenter

LOG_VARIABLE = "SAMLITE_BENCH_LOG"
"""Names the log's path; a line has a frame's stamp [ns], and the network's elapsed and CPU time for it [s]."""


class NetworkTime(NamedTuple):
    """What the network took for one frame.

    Args:
        wall_s: Elapsed time [s].
        cpu_s: CPU time of the network's thread [s]; all of it, where torch has one thread.

    Taken where the network computes: bringing it images and taking its masks is the node's share.
    """

    wall_s: float
    cpu_s: float


class LoggedSegmenter(WrappedSegmenter):
    """A segmenter that logs how long the network took for each frame. See `samlite_ros.types.Segmenter`.

    Args:
        inner: Does the work.
        log: Takes the lines.
    """

    def __init__(self, inner: Segmenter, log: TextIO) -> None:
        super().__init__(inner)
        self._log = log
        self._embedding = NetworkTime(0.0, 0.0)

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """As the inner segmenter."""
        start = _now()
        image = self._inner.embed_image(frame, on_block)
        self._embedding = _since(start)
        return image

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """As the inner segmenter."""
        start = _now()
        results = self._inner.segment(image, prompts, options, on_step)
        decoding = _since(start)
        wall_s, cpu_s = (a + b for a, b in zip(self._embedding, decoding, strict=True))
        self._log.write(f"{image.stamp_ns} {wall_s} {cpu_s}\n")
        self._log.flush()
        return results


def _now() -> NetworkTime:
    return NetworkTime(time.perf_counter(), time.thread_time())


def _since(start: NetworkTime) -> NetworkTime:
    now = _now()
    return NetworkTime(now.wall_s - start.wall_s, now.cpu_s - start.cpu_s)


def read_log(path: Path) -> dict[int, NetworkTime]:
    """The network's time by the frame's stamp [ns]; a line that was cut off at the end is left out."""
    lines = (line.split() for line in path.read_text().split("\n")[:-1])
    return {int(stamp): NetworkTime(float(wall), float(cpu)) for stamp, wall, cpu in lines}


def _load(log: TextIO) -> Callable[[SegmenterOptions], Segmenter]:
    return lambda options: LoggedSegmenter(load_segmenter(options), log)


if __name__ == "__main__":
    with Path(os.environ[LOG_VARIABLE]).open("w") as file:
        sys.exit(main(segmenter_factory=_load(file)))
