"""What `reuse_tokens` does to what is shown: a still camera, one thing moves, passes as short as their tokens allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from samlite_ros.bench.figures import Figure, row
from samlite_ros.bench.streaming.both_ways import Network, carried, mean_iou, undisturbed
from samlite_ros.bench.streaming.network import VOCABULARY
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.bench.wrapped_segmenter import WrappedSegmenter
from samlite_ros.evaluation.measures.streaming_accuracy import StreamScore, score_run
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.scenes.sequence import OneMoves, SequenceOptions
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.contract import ImageEmbedding, Segmenter
from samlite_ros.types import Frame
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

SCENES, THINGS = 4, 5
FIRST_SEED = 300
"""No constant was chosen by these scenes."""
TRUTH, DEMO = "the truth", "the network"


@dataclass
class Side:
    """Runs without `reuse_tokens`, or with it.

    Args:
        scores: One a sequence.
        passes: Of all sequences.
        seconds: Length of all sequences [s].
        computed: Share of the tokens, one a pass.
    """

    scores: list[StreamScore] = field(default_factory=list)
    passes: int = 0
    seconds: float = 0.0
    computed: list[float] = field(default_factory=list)

    @property
    def error(self) -> float:
        """1 - IoU at every frame."""
        return 1 - mean_iou(self.scores)

    @property
    def passes_a_s(self) -> float:
        """Image embeddings a second of the sequences [Hz]."""
        return self.passes / self.seconds


class OracleWithTokens(OracleSegmenter):
    """The truth, in passes that compute the tokens which a network with `reuse_tokens` computes.

    Args:
        truth: All frames of a sequence.
        network: Tells which.
    """

    def __init__(self, truth: Sequence[TruthFrame], network: Segmenter) -> None:
        super().__init__(truth)
        self._network = network

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """The truth itself."""
        return replace(super().embed_image(frame), reuse=self._network.embed_image(frame).reuse)

    def forget(self, camera: str) -> None:
        """What the network kept."""
        self._network.forget(camera)


class Watched(WrappedSegmenter):
    """A segmenter that notes the share of tokens of each pass.

    Args:
        inner: Does the work.
        computed: Takes the shares.
    """

    def __init__(self, inner: Segmenter, computed: list[float]) -> None:
        super().__init__(inner)
        self._computed, self.segment = computed, inner.segment

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """As the inner one."""
        image = self._inner.embed_image(frame, on_block)
        self._computed.append(image.reuse.computed)
        return image


def run(options: StreamingBenchOptions, progress: Progress) -> list[Figure]:
    """Every profile, with the truth as network and with the network itself, without and with `reuse_tokens`."""
    plain = SegmenterOptions(options.model, backend="torch")
    segmenters = load_segmenter(plain), load_segmenter(replace(plain, reuse_tokens=True))
    cases = [(name, profile_ms) for name in (TRUTH, DEMO) for profile_ms in options.profiles_ms]
    sides = {case: (Side(), Side()) for case in cases}
    for seed in progress(range(FIRST_SEED + options.seed, FIRST_SEED + options.seed + SCENES), "tokens"):
        truth = one_moves(seed, options.frames)
        for name, profile_ms in cases:
            for side, segmenter in zip(sides[name, profile_ms], segmenters, strict=True):
                network = _network(name, truth, segmenter)
                add(side, truth, network, LatencyProfile.of_total_ms(profile_ms), options)
    return [f for (name, ms), pair in sides.items() for f in _figures(f"tokens/{name}, {ms:g} ms", *pair)]


def one_moves(seed: int, frames: int) -> list[TruthFrame]:
    """A still camera, one thing crosses the image, the others stand; flicker and noise of the rendered camera."""
    scenes = OneMoves("cross", seed, SequenceOptions(frames=frames, count=THINGS))
    return [TruthFrame(Frame(scene.image, scene.stamp_ns), scene.ids, frozenset()) for scene in scenes]


def _network(name: str, truth: Sequence[TruthFrame], segmenter: Segmenter) -> Network:
    if name == TRUTH:
        return Network(OracleWithTokens(truth, segmenter), oracle_vocabulary())
    return Network(segmenter, VOCABULARY)


def add(
    side: Side, truth: Sequence[TruthFrame], network: Network, profile: LatencyProfile, options: StreamingBenchOptions
) -> None:
    """Run one sequence on the virtual clock.

    Args:
        side: Is added to.
        truth: The sequence.
        network: Answers; it begins anew.
        profile: How long a whole pass takes.
        options: What is charged, and how masks are carried.
    """
    watched = Watched(network.segmenter, side.computed)
    run = VirtualRun(watched, profile, carried(options.refine), network.vocabulary, charge_s=options.charge_s)
    with undisturbed():
        answers = list(run.run(t.frame for t in truth))
    watched.forget("")
    side.scores.append(score_run(truth, answers))
    side.passes += run.record.embeddings
    side.seconds += (truth[-1].frame.stamp_ns - truth[0].frame.stamp_ns) / 1e9


def _figures(name: str, without: Side, reused: Side) -> list[Figure]:
    values = {
        "passes_per_second_without": without.passes_a_s,
        "passes_per_second": reused.passes_a_s,
        "passes_ratio": reused.passes_a_s / without.passes_a_s,
        "tokens_computed": float(np.mean(reused.computed)),
        "error_without": without.error,
        "error": reused.error,
        "error_ratio": reused.error / max(without.error, 1e-6),
    }
    return row(name, values)
