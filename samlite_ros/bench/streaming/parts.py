"""What each part of the carrying is worth: the error without it, on the development sequences."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

from samlite_ros.bench.figures import Figure, row
from samlite_ros.bench.streaming.accuracy import chosen_sequences
from samlite_ros.bench.streaming.both_ways import PARTS, SequenceOutcome, error_ratio, mean_iou, run_sequence, without
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.virtual.latency import LatencyProfile


def run(options: StreamingBenchOptions, progress: Progress) -> list[Figure]:
    """By part and profile: the error over the usual way's, of all things and of those in sight, and the overlap."""
    clip = lru_cache(maxsize=1)(list[TruthFrame])
    chosen = [sequence for name, sequence in chosen_sequences(options) if name == "development"]
    outcomes: dict[tuple[str, float], list[SequenceOutcome]] = {}
    for sequence, part, profile_ms in progress(list(product(chosen, PARTS, options.profiles_ms)), "parts"):
        profile = LatencyProfile.of_total_ms(profile_ms)
        name = sequence.difficulty.name
        outcome = run_sequence(name, clip(sequence), profile, options=without(part), charge_s=options.charge_s)
        outcomes.setdefault((part, profile_ms), []).append(outcome)
    return [f for (part, p), found in outcomes.items() for f in _figures(f"parts/{p:g} ms, without {part}", found)]


def _figures(name: str, outcomes: list[SequenceOutcome]) -> list[Figure]:
    ours = [o.ours for o in outcomes]
    values = {
        "error_ratio": error_ratio(outcomes),
        "error_ratio_visible": error_ratio(outcomes, whole_only=True),
        "iou_ours": mean_iou(ours),
        "iou_ours_visible": mean_iou(ours, whole_only=True),
    }
    return row(name, values)
