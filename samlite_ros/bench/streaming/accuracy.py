"""How good the answers are at every camera frame when the network is slow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np

from samlite_ros.bench.figures import Figure, row
from samlite_ros.bench.streaming.both_ways import SequenceOutcome, carried, error_ratio, mean_iou, run_sequence
from samlite_ros.bench.streaming.options import MAIN, Progress, StreamingBenchOptions
from samlite_ros.bench.streaming.oracle import PERFECT, Imperfection
from samlite_ros.evaluation.measures.causes import CAUSES
from samlite_ros.evaluation.measures.streaming_accuracy import StreamScore
from samlite_ros.scenes.hard_sequences import (
    DEVELOPMENT,
    HELD_OUT,
    Difficulty,
    StreamSequence,
    TruthFrame,
    sequences,
)
from samlite_ros.virtual.latency import LatencyProfile

DIFFICULTIES: dict[str, tuple[Difficulty, ...]] = {"development": DEVELOPMENT, "held-out": HELD_OUT}
"""By the names of `options.SETS`."""


@dataclass(frozen=True)
class Variant:
    """The same sequences made harder.

    Args:
        imperfection: How the oracle errs, for both sides.
        gray: The images have no colour.
        phrase_count: Phrases of a pass.
    """

    imperfection: Imperfection = PERFECT
    gray: bool = False
    phrase_count: int = 1


VARIANTS = {
    MAIN: Variant(),
    "imperfect keyframes": Variant(Imperfection(border_px=2.0, miss=0.05)),
    "gray images": Variant(gray=True),
    "4 phrases": Variant(phrase_count=4),
    "8 phrases": Variant(phrase_count=8),
}
"""By the names of `options.VARIANTS`."""


class Run(NamedTuple):
    """One sequence under one profile in one variant."""

    set_name: str
    variant: str
    profile_ms: float
    outcome: SequenceOutcome


def run(options: StreamingBenchOptions, progress: Progress) -> list[Figure]:
    """Measure every sequence in every variant under every profile; see `figures_of_runs`."""
    clip = lru_cache(maxsize=1)(list[TruthFrame])  # rendered once, let go with its last run
    todo = [
        (set_name, sequence, variant, profile_ms)
        for set_name, sequence in chosen_sequences(options)
        for variant, profile_ms in product(options.variants, options.profiles_ms)
    ]
    runs = []
    for set_name, sequence, variant, profile_ms in progress(todo, "accuracy"):
        outcome = _run_variant(sequence, clip(sequence), VARIANTS[variant], profile_ms, options)
        runs.append(Run(set_name, variant, profile_ms, outcome))
    return figures_of_runs(runs, with_work=options.charge_s is None)


def chosen_sequences(options: StreamingBenchOptions) -> list[tuple[str, StreamSequence]]:
    """The options' sequences, each with the name of its set."""
    return [
        (set_name, sequence)
        for number, set_name in enumerate(options.sets)
        for sequence in sequences(DIFFICULTIES[set_name], 2 * options.seed + number, options.frames)
    ]


def _run_variant(
    sequence: StreamSequence,
    truth: Sequence[TruthFrame],
    variant: Variant,
    profile_ms: float,
    options: StreamingBenchOptions,
) -> SequenceOutcome:
    return run_sequence(
        sequence.difficulty.name,
        [grayed(t) for t in truth] if variant.gray else truth,
        LatencyProfile.of_total_ms(profile_ms),
        variant.phrase_count,
        variant.imperfection,
        options=carried(options.refine),
        charge_s=options.charge_s,
    )


def grayed(truth: TruthFrame) -> TruthFrame:
    """The same frame without colour."""
    gray = cv2.cvtColor(cv2.cvtColor(truth.frame.image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return replace(truth, frame=replace(truth.frame, image=np.asarray(gray, np.uint8)))


def figures_of_runs(runs: Sequence[Run], with_work: bool) -> list[Figure]:
    """Tables over all sequences, by set, by variant and by sequence; each sequence counts the same.

    Args:
        runs: In any order.
        with_work: The work per frame too, which is not the same every time.
    """
    main = [r for r in runs if r.variant == MAIN]
    groups: dict[str, list[Run]] = {"all": main}
    groups |= {name: [r for r in main if r.set_name == name] for name in dict.fromkeys(r.set_name for r in main)}
    groups |= {name: [r for r in runs if r.variant == name] for name in VARIANTS if name != MAIN}
    by_sequence = {name: [r for r in main if r.outcome.sequence == name] for name in _sequence_names(main)}
    figures: list[Figure] = []
    for name, of_group in groups.items():
        for profile_ms in dict.fromkeys(r.profile_ms for r in of_group):
            outcomes = [r.outcome for r in of_group if r.profile_ms == profile_ms]
            case, pass_ms = f"{profile_ms:g} ms, {name}", _pass_ms(of_group[0].variant, profile_ms)
            figures += figures_of_outcomes(f"accuracy/{case}", outcomes, pass_ms, with_work)
            figures += figures_of_errors(case, outcomes)
    for name, of_sequence in by_sequence.items():
        for r in of_sequence:
            pass_ms = _pass_ms(MAIN, r.profile_ms)
            figures += figures_of_outcomes(f"sequences/{r.profile_ms:g} ms, {name}", [r.outcome], pass_ms, with_work)
    return figures


def _sequence_names(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(r.outcome.sequence for r in runs))


def _pass_ms(variant: str, profile_ms: float) -> float:
    """Time of a pass of all phrases [ms]."""
    profile = LatencyProfile.of_total_ms(profile_ms)
    return 1e3 * (profile.encode_s + VARIANTS[variant].phrase_count * profile.decode_s)


def figures_of_outcomes(
    name: str, outcomes: Sequence[SequenceOutcome], pass_ms: float, with_work: bool = True
) -> list[Figure]:
    """The figures of some sequences under one profile.

    Args:
        name: 'table/row'.
        outcomes: Of the sequences; they count the same, whatever their length.
        pass_ms: Time of a pass [ms].
        with_work: Our work per frame too.

    Returns:
        iou_ours, iou_peers: mean over things and frames; iou_ours_visible, iou_peers_visible: things wholly in sight;
        error_ratio, error_ratio_visible: our 1 - IoU over the peers'; answered: share of the frames;
        age_frames_max: by how many frames the newest answer lagged, at most; knowledge_age_max of any mask [s];
        id_switches: ours, in all; keyframes_per_frame: ours; pass [ms]; work_p50, work_p95, work_max: per frame, of one
        core, without messages [ms] (see `cost`).
    """
    ours, peers = [o.ours for o in outcomes], [o.peers for o in outcomes]
    figures = row(
        name,
        {
            "iou_ours": mean_iou(ours),
            "iou_peers": mean_iou(peers),
            "iou_ours_visible": mean_iou(ours, whole_only=True),
            "iou_peers_visible": mean_iou(peers, whole_only=True),
            "error_ratio": error_ratio(outcomes),
            "error_ratio_visible": error_ratio(outcomes, whole_only=True),
            "answered": float(np.mean([s.answered for s in ours])),
            "age_frames_max": max(s.age_frames_max for s in ours),
            "id_switches": sum(s.id_switches() for s in ours),
            "keyframes_per_frame": sum(o.embeddings for o in outcomes) / sum(o.frames for o in outcomes),
        },
    )
    figures += row(name, {"knowledge_age_max": max(s.knowledge_age_s_max for s in ours)}, "s")
    figures += row(name, {"pass": pass_ms}, "ms")
    if with_work:
        work_ms = 1e3 * np.array([w for score in ours for w in score.work_s])
        shares = (("p50", 50), ("p95", 95), ("max", 100))
        figures += row(name, {f"work_{p}": float(np.percentile(work_ms, q)) for p, q in shares}, "ms")
    return figures


def figures_of_errors(case: str, outcomes: Sequence[SequenceOutcome]) -> list[Figure]:
    """What the errors of both sides are: identities, masks of nothing, and overlap lost, by its cause.

    Args:
        case: In the row's name, before the side's; peers_at_keyframes: the peers' against the frames that they saw.
        outcomes: Of some sequences under one profile.
    """
    figures: list[Figure] = []
    for side in ("ours", "peers", "peers_at_keyframes"):
        scores = [getattr(o, side) for o in outcomes]
        figures += row(f"identity/{case}, {side}", _identity(scores))
        if side != "peers_at_keyframes":
            figures += row(f"error_by_cause/{case}, {side}", _causes(scores))
            figures += row(f"error_by_cause_visible/{case}, {side}", _causes(scores, whole_only=True))
    return figures


def _identity(scores: Sequence[StreamScore]) -> dict[str, float]:
    minutes = sum(s.seconds for s in scores) / 60 or float("nan")  # too short a sequence for a first result
    return {
        "switches_per_minute": sum(s.id_switches() for s in scores) / minutes,
        "fragmentations_per_minute": sum(s.fragmentations() for s in scores) / minutes,
        "idf1": float(np.mean([s.idf1() for s in scores])),
        "ghosts_per_frame": float(np.mean([s.ghosts for s in scores])),
    }


def _causes(scores: Sequence[StreamScore], whole_only: bool = False) -> dict[str, float]:
    judged = [s for s in scores if not np.isnan(s.iou(whole_only))]
    shares = np.mean([s.error_by_cause(whole_only) for s in judged], 0) if judged else np.full(len(CAUSES), np.nan)
    return dict(zip(CAUSES, shares.tolist(), strict=True))
