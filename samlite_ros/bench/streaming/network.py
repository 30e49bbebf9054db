"""The network itself at every camera frame, by each backend: on the virtual clock, as slow as it is here, or slower."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial

import numpy as np

from samlite_ros.bench.figures import Figure
from samlite_ros.bench.streaming.accuracy import chosen_sequences, figures_of_outcomes
from samlite_ros.bench.streaming.both_ways import Network, SequenceOutcome, carried, run_sequence
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions
from samlite_ros.bench.timing import Sample, interleave
from samlite_ros.errors import SamliteError
from samlite_ros.scenes.hard_sequences import StreamSequence, TruthFrame
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.types import DecodeOptions, Frame, Prompt, Query, QueryKey, Vocabulary
from samlite_ros.virtual.latency import LatencyProfile

PHRASE = Prompt("object")
"""Names whatever the scenes show."""
VOCABULARY = Vocabulary(1, (Query(QueryKey("bench", "object"), PHRASE, 0),))
ROUNDS = 10
MEASURED = "measured"


def run(options: StreamingBenchOptions, progress: Progress) -> list[Figure]:
    """Every sequence whose things are all searched, by every backend, as slow as it is and under every profile."""
    segmenters = {name: load_segmenter(SegmenterOptions(options.model, backend=name)) for name in options.backends}
    chosen = [sequence for _, sequence in chosen_sequences(options) if not sequence.difficulty.unlabelled]
    if not chosen:
        raise SamliteError("in none of the chosen sequences are all things searched")
    profiles = _profiles(segmenters, next(iter(chosen[0])).frame, options)
    clip = lru_cache(maxsize=1)(list[TruthFrame])
    outcomes: dict[tuple[str, str], list[SequenceOutcome]] = {case: [] for case in profiles}
    for sequence, case in progress([(s, case) for s in chosen for case in profiles], "network"):
        run_one = partial(_outcome, sequence, clip(sequence), options)
        outcomes[case].append(run_one(profiles[case], segmenters[case[1]]))
    return [
        figure
        for case, found in outcomes.items()
        for figure in figures_of_outcomes(
            f"network/{', '.join(case)}", found, _pass_ms(profiles[case]), options.charge_s is None
        )
    ]


def _outcome(
    sequence: StreamSequence,
    truth: list[TruthFrame],
    options: StreamingBenchOptions,
    profile: LatencyProfile,
    segmenter: Segmenter,
) -> SequenceOutcome:
    return run_sequence(
        sequence.difficulty.name,
        truth,
        profile,
        options=carried(options.refine),
        charge_s=options.charge_s,
        network=Network(segmenter, VOCABULARY),
    )


def _profiles(
    segmenters: Mapping[str, Segmenter], frame: Frame, options: StreamingBenchOptions
) -> dict[tuple[str, str], LatencyProfile]:
    """By how long a pass takes, in words, and backend."""
    found = {(MEASURED, name): profile for name, profile in measured(segmenters, frame).items()}
    for profile_ms in options.profiles_ms:
        found |= {(f"{profile_ms:g} ms", name): LatencyProfile.of_total_ms(profile_ms) for name in segmenters}
    return found


def measured(segmenters: Mapping[str, Segmenter], frame: Frame, rounds: int = ROUNDS) -> dict[str, LatencyProfile]:
    """How long each network takes for one phrase on this machine: medians, measured in turns."""
    encode: dict[str, Callable[[], object]] = {n: partial(s.embed_image, frame) for n, s in segmenters.items()}
    decode: dict[str, Callable[[], object]] = {
        name: partial(s.segment, s.embed_image(frame), s.embed_prompts([PHRASE]), [DecodeOptions()])
        for name, s in segmenters.items()
    }
    encoded, decoded = (interleave(calls, rounds + 1) for calls in (encode, decode))
    return {name: LatencyProfile(_median_s(encoded[name]), _median_s(decoded[name])) for name in segmenters}


def _median_s(samples: Sequence[Sample]) -> float:
    """Without the first, which warms up."""
    return float(np.median([sample.wall_s for sample in samples[1:]]))


def _pass_ms(profile: LatencyProfile) -> float:
    return 1e3 * (profile.encode_s + profile.decode_s)
