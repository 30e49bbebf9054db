"""How good carried masks are on pieces of photographs with exact truth: what blur, light, gloss and bending cost."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

from samlite_ros.bench.figures import Figure
from samlite_ros.bench.streaming.both_ways import carried
from samlite_ros.bench.streaming.judge import figures_of_verdicts, judge_sequence
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions
from samlite_ros.scenes.cutouts import SEQUENCES, CutoutSequence

TABLE = "semireal"


def run(options: StreamingBenchOptions, progress: Progress) -> list[Figure]:
    """Every sequence under every profile; see `judge.figures_of_verdicts`."""
    clip = lru_cache(maxsize=1)(CutoutSequence.read)
    sequences = [CutoutSequence(cutouts, options.seed, options.frames) for cutouts in SEQUENCES]
    ours = carried(options.refine)
    verdicts = []
    for sequence, profile_ms in progress(list(product(sequences, options.profiles_ms)), TABLE):
        verdicts.append(
            judge_sequence(sequence.name, clip(sequence), profile_ms, charge_s=options.charge_s, options=ours)
        )
    return figures_of_verdicts(TABLE, [v for v in verdicts if v is not None], with_work=options.charge_s is None)
