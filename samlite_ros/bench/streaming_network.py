"""The same sequences with a real network in the loop, for information: its own errors are in both sides' figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from samlite_ros.bench.streaming.both_ways import Outcome, run_sequence
from samlite_ros.bench.wrapped_segmenter import WrappedSegmenter
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.types import (
    DecodeOptions,
    Frame,
    ImageEmbedding,
    Prompt,
    PromptEmbedding,
    PromptResult,
    Query,
    QueryKey,
    Segmenter,
    Vocabulary,
)
from samlite_ros.virtual.latency import LatencyProfile

PHRASE = "object"
"""Asked for: one phrase, so that a pass takes what the profile says, as with the oracle."""
SCORE_THRESHOLD = 0.4


class RememberingSegmenter(WrappedSegmenter):
    """Computes each image's answer once, whoever asks: both sides, under every profile. See `types.Segmenter`.

    Args:
        inner: Does the work.
    """

    def __init__(self, inner: Segmenter) -> None:
        super().__init__(inner)
        self._results: dict[tuple[int, tuple[Prompt, ...], tuple[DecodeOptions, ...]], list[PromptResult]] = {}

    def forget(self) -> None:
        """Another sequence begins, with stamps of its own."""
        self._results.clear()

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """Put off until it is needed."""
        return ImageEmbedding(frame.stamp_ns, frame.camera, frame.size, self.model_id, frame)

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """As the inner segmenter, the first time."""
        key = image.stamp_ns, prompts.prompts, tuple(options)
        if key not in self._results:
            self._results[key] = self._inner.segment(self._inner.embed_image(image.features), prompts, options)
        return self._results[key]


def run_with_network(
    network: RememberingSegmenter, name: str, truth: Sequence[TruthFrame], profile_ms: float
) -> Outcome:
    """Both ways over one sequence with a network instead of the oracle; the profile's time, whatever it really takes.

    Args:
        network: The network; whoever changes the sequence makes it forget.
        name: Of the sequence.
        truth: The frames and their truth.
        profile_ms: Time of a pass [ms].
    """
    query = Query(QueryKey("bench", PHRASE), Prompt(PHRASE), 0, score_threshold=SCORE_THRESHOLD)
    asked = network, Vocabulary(1, (query,))
    return run_sequence(name, truth, LatencyProfile.of_total_ms(profile_ms), network=asked)
