"""What the network's worker has done, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from samlite_ros.segmenter.contract import ImageEmbedding


@dataclass
class NetworkCounters:
    """Written by the worker only.

    Args:
        prompts_embedded: Different prompts that were embedded; those asked for again are in the bank.
        images_embedded: Passes of the image encoder.
        prompts_decoded: Prompts decoded over an image.
        late_jobs: Jobs decoded on an image that was embedded before.
        failures: Jobs that raised, and times that the network's process ended.
        reloads: Times that the network was loaded again since its process had ended.
        computed: Share of the tokens that were computed, summed over the passes of the image encoder.
        kept_bytes: Memory that the network keeps for the cameras' next images, after the last pass.
        remembered, remembered_bytes: Keyframes whose embeddings are kept to look back, and the memory that they take.
        looks_back: Looks into them.
        busy_s: Time spent with jobs [s].
        encode_s, decode_s: Of the last job [s].
        last_failure: In words.
        failing: Jobs that failed in a row, the last of them included; 0 = the last one went well.
        reload_failure: Why the network cannot be loaded again; empty = it is loaded, or was not tried yet.
    """

    prompts_embedded: int = 0
    images_embedded: int = 0
    prompts_decoded: int = 0
    late_jobs: int = 0
    failures: int = 0
    reloads: int = 0
    computed: float = 0.0
    kept_bytes: int = 0
    remembered: int = 0
    remembered_bytes: int = 0
    looks_back: int = 0
    busy_s: float = 0.0
    encode_s: float = 0.0
    decode_s: float = 0.0
    last_failure: str = ""
    failing: int = 0
    reload_failure: str = ""

    def count_image(self, image: ImageEmbedding) -> None:
        """A pass of the image encoder has ended."""
        self.images_embedded += 1
        self.computed += image.reuse.computed
        self.kept_bytes = image.reuse.kept_bytes
