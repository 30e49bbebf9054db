"""How good the answers are at every camera frame when the network is slow: what `samlite bench streaming` measures.

Both ways run over the same rendered sequences on a virtual clock: ours, which carries masks to every frame, and the
usual way, which shows the newest frame to the whole model and publishes when that is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from samlite_ros.bench.machine import describe
from samlite_ros.bench.streaming_extras import costs, entering_thing, late_queries, parts_worth, still_scene
from samlite_ros.bench.streaming_network import network_in_the_loop
from samlite_ros.bench.streaming_oracle import PERFECT, Imperfection
from samlite_ros.bench.streaming_run import Outcome, error_ratio, mean_iou, run_sequence
from samlite_ros.bench.streaming_scores import CAUSES, Score
from samlite_ros.bench.streaming_sequences import DEVELOPMENT, HELD_OUT, Difficulty, TruthFrame, sequences
from samlite_ros.streaming.runner import LatencyProfile

SETS: dict[str, tuple[Difficulty, ...]] = {"development": DEVELOPMENT, "held-out": HELD_OUT}
OnStep = Callable[[str], None]


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


MAIN = "main"
VARIANTS = {
    MAIN: Variant(),
    "imperfect keyframes": Variant(Imperfection(border_px=2.0, miss=0.05)),
    "gray images": Variant(gray=True),
    "4 phrases": Variant(phrase_count=4),
    "8 phrases": Variant(phrase_count=8),
}


@dataclass(frozen=True)
class StreamingBenchOptions:
    """What is measured.

    Args:
        seed: Of the sequences.
        profiles_ms: Time of a pass of one phrase [ms], one profile each.
        sets: Names of SETS.
        frames: Per sequence.
        variants: Names of VARIANTS.
        extras: Also a still scene, a thing that enters, late queries, and the cost of more instances and pixels.
        parts: Also each part's worth, by leaving it out.
        network: Also with this checkpoint in the loop; None = only the oracle.
    """

    seed: int = 0
    profiles_ms: tuple[float, ...] = (126.0, 250.0, 950.0)
    sets: tuple[str, ...] = tuple(SETS)
    frames: int = 150
    variants: tuple[str, ...] = tuple(VARIANTS)
    extras: bool = True
    parts: bool = False
    network: str | None = None


@dataclass(frozen=True)
class Run:
    """One sequence under one profile in one variant."""

    set_name: str
    variant: str
    profile_ms: float
    outcome: Outcome


def run_bench(options: StreamingBenchOptions, on_step: OnStep) -> dict[str, Any]:
    """Measure.

    Returns:
        What the JSON file holds. `profiles`: by milliseconds, the main table over all sequences; `sets`, `sequences`
        and `variants` the same by name; `extras`, `parts` and `network` what was asked for; `curves` overlap by frame
        of the first sequence.
    """
    runs = _run_all(options, on_step)
    main = [r for r in runs if r.variant == MAIN]
    report: dict[str, Any] = {"seed": options.seed, "frames": options.frames, "machine": describe()}
    report["profiles"] = _rows(main)
    report["sets"] = {name: _rows([r for r in main if r.set_name == name]) for name in options.sets}
    names = dict.fromkeys(r.outcome.sequence for r in main)
    report["sequences"] = {name: _rows([r for r in main if r.outcome.sequence == name]) for name in names}
    harder = [name for name in options.variants if name != MAIN]
    report["variants"] = {name: _rows([r for r in runs if r.variant == name]) for name in harder}
    report["curves"] = {key(r.profile_ms): _curves(r.outcome) for r in main if r.outcome.sequence == next(iter(names))}
    if options.extras:
        on_step("still scene, late queries, costs")
        report["extras"] = {
            "still": still_scene(options.seed),
            "entering": {key(p): entering_thing(options.seed, p) for p in options.profiles_ms},
            "late_query": {key(p): late_queries(options.seed, p) for p in options.profiles_ms},
            "cost": costs(options.seed),
        }
    if options.parts:
        report["parts"] = parts_worth(options.seed, options.profiles_ms, options.frames, on_step)
    if options.network is not None:
        on_step(f"{options.network} in the loop")
        report["network"] = network_in_the_loop(options.network, options.seed, options.profiles_ms)
    return report


def _run_all(options: StreamingBenchOptions, on_step: OnStep) -> list[Run]:
    """All sequences; each is rendered once and kept only while it is in use."""
    runs = []
    for number, set_name in enumerate(options.sets):
        for sequence in sequences(SETS[set_name], 2 * options.seed + number, options.frames):
            truth = list(sequence)
            for variant_name in options.variants:
                variant = VARIANTS[variant_name]
                shown = [grayed(t) for t in truth] if variant.gray else truth
                for profile_ms in options.profiles_ms:
                    on_step(f"{set_name}: {sequence.difficulty.name}, {variant_name}, {profile_ms:g} ms")
                    outcome = run_sequence(
                        sequence.difficulty.name,
                        shown,
                        LatencyProfile.of_total_ms(profile_ms),
                        variant.phrase_count,
                        variant.imperfection,
                    )
                    runs.append(Run(set_name, variant_name, profile_ms, outcome))
    return runs


def grayed(truth: TruthFrame) -> TruthFrame:
    """The same frame without colour."""
    gray = cv2.cvtColor(cv2.cvtColor(truth.frame.image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return replace(truth, frame=replace(truth.frame, image=np.asarray(gray, np.uint8)))


def key(profile_ms: float) -> str:
    """Name of a profile in the JSON file: its milliseconds."""
    return f"{profile_ms:g}"


def _rows(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """One row of figures per profile."""
    profiles = dict.fromkeys(r.profile_ms for r in runs)
    return {key(p): profile_row([r.outcome for r in runs if r.profile_ms == p]) for p in profiles}


def profile_row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of some sequences under one profile; sequences count the same, whatever their length."""
    ours, peers = [o.ours for o in outcomes], [o.peers for o in outcomes]
    work_ms = 1e3 * np.array([w for score in ours for w in score.work_s])
    return {
        "iou_ours": mean_iou(ours),
        "iou_peers": mean_iou(peers),
        "iou_ours_visible": mean_iou(ours, whole_only=True),
        "iou_peers_visible": mean_iou(peers, whole_only=True),
        "error_ratio": error_ratio(outcomes),
        "error_ratio_visible": error_ratio(outcomes, whole_only=True),
        "answered": float(np.mean([s.answered for s in ours])),
        "age_frames_max": max(s.age_frames_max for s in ours),
        "knowledge_age_s_max": max(s.knowledge_age_s_max for s in ours),
        "work_ms": {name: float(np.percentile(work_ms, q)) for name, q in (("p50", 50), ("p95", 95), ("max", 100))},
        "id_switches": sum(s.id_switches() for s in ours),
        "identity": {"ours": _identity(ours), "peers": _identity(peers)},
        "ghosts_per_frame": {"ours": _mean([s.ghosts for s in ours]), "peers": _mean([s.ghosts for s in peers])},
        "error_by_cause": {"ours": _causes(ours), "peers": _causes(peers)},
        "keyframes_per_frame": sum(o.embeddings for o in outcomes) / sum(o.frames for o in outcomes),
    }


def _identity(scores: Sequence[Score]) -> dict[str, float]:
    minutes = sum(s.seconds for s in scores) / 60
    return {
        "switches_per_minute": sum(s.id_switches() for s in scores) / minutes,
        "fragmentations_per_minute": sum(s.fragmentations() for s in scores) / minutes,
        "idf1": _mean([s.idf1() for s in scores]),
    }


def _causes(scores: Sequence[Score]) -> dict[str, float]:
    return dict(zip(CAUSES, np.mean([s.error_by_cause() for s in scores], 0).tolist(), strict=True))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _curves(outcome: Outcome) -> dict[str, list[list[float]]]:
    """(frame, mean overlap) of both sides."""
    return {side: _curve(getattr(outcome, side)) for side in ("ours", "peers")}


def _curve(score: Score) -> list[list[float]]:
    frames = sorted({o.frame for o in score.observations})
    return [[float(f), _mean([o.iou for o in score.observations if o.frame == f])] for f in frames]
