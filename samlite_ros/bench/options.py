"""What the benchmark measures; shared by all of its parts, and free of torch and ROS."""

from __future__ import annotations

from dataclasses import dataclass, replace

from samlite_ros.errors import SamliteError

MODEL_NAMES = ("demo", "s0-504", "s0-1008")
"""The embedded network, and the full-size S0 architecture with random weights at two input sizes [px]."""

_ROUNDS = {"demo": 15, "s0-504": 7, "s0-1008": 1}
_MAIN_COUNT = 8


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Args:
        models: Some of MODEL_NAMES.
        phrase_counts: Numbers of constant phrases.
        rounds: Interleaved rounds; 0 = by network, see `rounds_of`.
        kept: Masks kept per phrase, on both sides: with random weights, scores would make their number arbitrary.
        device, dtype: As of the segmenter.
        threads: CPU threads of torch; 0 = the segmenter's own choice.
        sizes: Camera images, (width, height) [px].
        seconds: How long the node is measured in each setting [s].
        rate_hz: Rate of its camera [Hz].
        busy_ms: Passes of the busy networks beside which it is measured too [ms].
        late_queries: Number of queries by topic whose way to an answer is measured.
    """

    models: tuple[str, ...] = MODEL_NAMES
    phrase_counts: tuple[int, ...] = (1, 4, 8, 16)
    rounds: int = 0
    kept: int = 2
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 0
    sizes: tuple[tuple[int, int], ...] = ((640, 480), (1280, 720), (1920, 1080))
    seconds: float = 20.0
    rate_hz: float = 30.0
    busy_ms: tuple[float, ...] = (126.0, 250.0, 950.0)
    late_queries: int = 40

    def rounds_of(self, model: str, phrase_count: int = _MAIN_COUNT) -> int:
        """Rounds for one network: full-size ones take minutes per round, so that only 8 phrases get all of them."""
        if self.rounds:
            return self.rounds
        rounds = _ROUNDS[model]
        return rounds if model == "demo" or phrase_count == _MAIN_COUNT else 1


def quick(options: BenchOptions) -> BenchOptions:
    """A run of seconds: the demo network, few phrases, one image size."""
    return replace(
        options,
        models=("demo",),
        phrase_counts=(1, 4),
        rounds=3,
        sizes=((640, 480),),
        seconds=4.0,
        rate_hz=10.0,
        busy_ms=(250.0,),
        late_queries=5,
    )


class SkippedPart(SamliteError):
    """A part cannot run on this machine; the message says what is missing."""
