"""The real node around a busy network that knows the truth: `python -m samlite_ros.bench.streaming_node_process`."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.streaming.busy_segmenter import BusySegmenter
from samlite_ros.bench.streaming.oracle import SCORE, OracleSegmenter
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, Prompt, PromptEmbedding, PromptResult
from samlite_ros.virtual.latency import LatencyProfile

SCRIPT_VARIABLE = "SAMLITE_BENCH_SCRIPT"
"""Names the file with what the network knows; see `write_script`."""


def write_script(path: Path, truth: Sequence[TruthFrame], profile: LatencyProfile, held_share: float) -> None:
    """Write down what the network is to know: the truth of each image, and how long it takes.

    Args:
        path: An .npz file.
        truth: All images that the camera shows.
        profile: How long the network takes.
        held_share: As of `BusySegmenter`.
    """
    keys = [image_key(t.frame.image) for t in truth]
    latency = [profile.encode_s, profile.decode_s, profile.blocks, held_share]
    np.savez(path, keys=keys, ids=np.stack([t.ids for t in truth]), latency=latency)


def read_script(path: Path) -> BusySegmenter:
    """The network that `write_script` described."""
    with np.load(path) as script:
        encode_s, decode_s, blocks, held_share = (float(v) for v in script["latency"])
        keys, ids = [int(k) for k in script["keys"]], script["ids"]
    profile = LatencyProfile(encode_s, decode_s, int(blocks))
    return BusySegmenter(ContentOracle(dict(zip(keys, ids, strict=True))), profile, held_share)


def image_key(image: NDArray[np.uint8]) -> int:
    """Names an image by its content; a sensor's noise makes every one different."""
    return zlib.crc32(np.ascontiguousarray(image[::8, ::8]).data)


class ContentOracle:
    """The truth of images that are recognised by their content, whatever their stamp.

    Args:
        ids: By `image_key`, the thing seen at each pixel, uint8 (H, W).
    """

    def __init__(self, ids: dict[int, NDArray[np.uint8]]) -> None:
        self._ids = ids

    @property
    def model_id(self) -> str:
        """As the oracle's."""
        return OracleSegmenter.model_id

    @property
    def interruptible(self) -> bool:
        """As the oracle."""
        return OracleSegmenter.interruptible

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptEmbedding:
        """Nothing but the prompts."""
        return PromptEmbedding(tuple(prompts), self.model_id, None)

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """The truth itself; None for an image that was never announced, such as the node's warm-up."""
        ids = self._ids.get(image_key(frame.image))
        known = None if ids is None else OracleSegmenter([TruthFrame(frame, ids, frozenset())])
        return ImageEmbedding(frame.stamp_ns, frame.camera, frame.size, self.model_id, known)

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """The truth of that image; nothing where it is not known."""
        if image.features is None:
            nothing = PromptResult(Prompt(""), 1 - SCORE, np.zeros(0, np.float32), np.zeros((0, 4), np.float32), ())
            return [replace(nothing, prompt=prompt) for prompt in prompts.prompts]
        results: list[PromptResult] = image.features.segment(image, prompts, options)
        return results


if __name__ == "__main__":
    from samlite_ros.node.main import main

    sys.exit(main(segmenter_factory=lambda _: read_script(Path(os.environ[SCRIPT_VARIABLE]))))
