"""How good the answers are at every camera frame when the network is slow: what `samlite bench streaming` measures.

Both ways run over the same rendered sequences on a virtual clock: ours, which carries masks to every frame, and the
usual way, which shows the newest frame to the whole model and publishes when that is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import cv2
import numpy as np

from samlite_ros.bench.machine import OthersLoad, describe
from samlite_ros.bench.streaming.both_ways import PARTS, Outcome, error_ratio, mean_iou, run_sequence
from samlite_ros.bench.streaming.busy_segmenter import HELD_SHARE
from samlite_ros.bench.streaming.oracle import PERFECT, Imperfection
from samlite_ros.bench.streaming_extras import extra_steps
from samlite_ros.bench.streaming_network import RememberingSegmenter, run_with_network
from samlite_ros.bench.streaming_parts import Outcomes, parts_rows, run_without
from samlite_ros.bench.streaming_progress import Follow, Step, perform
from samlite_ros.evaluation.measures.streaming_accuracy import CAUSES, Score
from samlite_ros.scenes.hard_sequences import (
    DEVELOPMENT,
    HELD_OUT,
    Difficulty,
    StreamSequence,
    TruthFrame,
    sequences,
)
from samlite_ros.virtual.latency import LatencyProfile

SETS: dict[str, tuple[Difficulty, ...]] = {"development": DEVELOPMENT, "held-out": HELD_OUT}
SECTIONS = {
    "accuracy": "overlap at every frame, also with imperfect keyframes, gray images, 4 and 8 phrases; 10 minutes",
    "still": "still scenes, and things that enter them; 2 minutes",
    "late": "late queries on the virtual clock; 2 minutes",
    "cost": "work per frame, alone and beside a running network; 2 minutes",
    "parts": "each part's worth, by leaving it out; 12 minutes",
    "network": "the sequences with a real network in the loop; 4 minutes with the demo network",
    "live": "late queries with real networks and the node's threads; 6 minutes",
    "node": "through the real node over DDS; 75 seconds a profile",
}
"""What can be measured, and about how long it takes on two idle cores."""
DEFAULT_SECTIONS = ("accuracy", "still", "late", "cost")
RUN_S, RENDER_S = 0.015, 0.03
"""A frame both ways, and its rendering, on an idle core [s]; for the progress bar."""


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
        sections: Names of SECTIONS.
        network: Checkpoint for the section of this name.
        live_models: Of `options.MODEL_NAMES`, for the section `live`.
        node_seconds: How long the node is watched under each profile [s].
        held_share: Share of its time in which the node's busy network holds the interpreter.
    """

    seed: int = 0
    profiles_ms: tuple[float, ...] = (126.0, 250.0, 950.0)
    sets: tuple[str, ...] = tuple(SETS)
    frames: int = 150
    variants: tuple[str, ...] = tuple(VARIANTS)
    sections: tuple[str, ...] = DEFAULT_SECTIONS
    network: str = "demo"
    live_models: tuple[str, ...] = ("demo", "s0-504")
    node_seconds: float = 60.0
    held_share: float = HELD_SHARE


@dataclass(frozen=True)
class Run:
    """One sequence under one profile in one variant."""

    set_name: str
    variant: str
    profile_ms: float
    outcome: Outcome


def run_bench(options: StreamingBenchOptions, follow: Follow) -> dict[str, Any]:
    """Measure.

    Args:
        options: What.
        follow: Told what runs next.

    Returns:
        What the JSON file holds. `profiles`: by milliseconds, the main table over all sequences (see `profile_row`);
        `sets`, `sequences` and `variants` the same by name; `curves` overlap by frame of the first sequence; `still`,
        `entering`, `late`, `cost`, `live`, `node`, `parts` and `network` where they were asked for;
        `cores_busy_with_others` meanwhile.
    """
    runs: list[Run] = []
    with_network: list[Run] = []
    without: Outcomes = {}
    report: dict[str, Any] = {"seed": options.seed, "frames": options.frames, "machine": describe()}
    steps = extra_steps(options, report) + _sequence_steps(options, runs, with_network, without)
    with OthersLoad() as others:
        perform(steps, follow)
    report["cores_busy_with_others"] = round(others.cores, 2)
    if runs:
        report |= _accuracy(options, runs)
    if with_network:
        report["network"] = {"model": options.network, "profiles": _rows(with_network)}
    if without:
        report["parts"] = parts_rows(without, options.profiles_ms)
    return report


def _accuracy(options: StreamingBenchOptions, runs: Sequence[Run]) -> dict[str, Any]:
    main = [r for r in runs if r.variant == MAIN]
    names = dict.fromkeys(r.outcome.sequence for r in main)
    harder = [name for name in options.variants if name != MAIN]
    return {
        "profiles": _rows(main),
        "sets": {name: _rows([r for r in main if r.set_name == name]) for name in options.sets},
        "sequences": {name: _rows([r for r in main if r.outcome.sequence == name]) for name in names},
        "variants": {name: _rows([r for r in runs if r.variant == name]) for name in harder},
        "curves": {key(r.profile_ms): _curves(r.outcome) for r in main if r.outcome.sequence == next(iter(names))},
    }


def _sequence_steps(
    options: StreamingBenchOptions, runs: list[Run], with_network: list[Run], without: Outcomes
) -> list[Step]:
    """All that runs over the sequences; each is rendered once, and let go with its last step.

    Args:
        options: What is measured.
        runs, with_network, without: Take the outcomes.
    """
    network = cache(partial(_load_network, options.network))
    if "network" in options.sections:
        network()  # a wrong name is told now, not in ten minutes
    steps: list[Step] = []
    for number, set_name in enumerate(options.sets):
        for sequence in sequences(SETS[set_name], 2 * options.seed + number, options.frames):
            of_sequence: list[Step] = []
            clip = cache(partial(list[TruthFrame], sequence))
            if "accuracy" in options.sections:
                of_sequence += _variant_steps(options, set_name, sequence, clip, runs)
            if "parts" in options.sections and SETS[set_name] is DEVELOPMENT:
                of_sequence += _parts_steps(options, sequence, clip, without)
            if "network" in options.sections:
                of_sequence += _network_steps(options, set_name, sequence, clip, network, with_network)
            if of_sequence:
                rendering = Step(f"rendering {sequence.difficulty.name}", RENDER_S * options.frames, partial(_do, clip))
                steps += [rendering, *of_sequence]
    return steps


def _do(work: Callable[[], object]) -> None:
    work()


Clip = Callable[[], list[TruthFrame]]


def _variant_steps(
    options: StreamingBenchOptions, set_name: str, sequence: StreamSequence, clip: Clip, runs: list[Run]
) -> list[Step]:
    name = sequence.difficulty.name

    def run(variant_name: str, profile_ms: float) -> None:
        variant = VARIANTS[variant_name]
        shown = [grayed(t) for t in clip()] if variant.gray else clip()
        profile = LatencyProfile.of_total_ms(profile_ms)
        outcome = run_sequence(name, shown, profile, variant.phrase_count, variant.imperfection)
        runs.append(Run(set_name, variant_name, profile_ms, outcome))

    return [
        Step(f"{set_name}: {name}, {variant}, {key(p)} ms", RUN_S * options.frames, partial(run, variant, p))
        for variant in options.variants
        for p in options.profiles_ms
    ]


def _parts_steps(options: StreamingBenchOptions, sequence: StreamSequence, clip: Clip, without: Outcomes) -> list[Step]:
    name = sequence.difficulty.name

    def run(part: str, profile_ms: float) -> None:
        run_without(part, name, clip(), profile_ms, without)

    return [
        Step(f"{name} without {part}, {key(p)} ms", RUN_S * options.frames, partial(run, part, p))
        for part in PARTS
        for p in options.profiles_ms
    ]


def _load_network(model: str) -> RememberingSegmenter:
    from samlite_ros.segmenter import SegmenterOptions, load_segmenter  # torch takes seconds

    return RememberingSegmenter(load_segmenter(SegmenterOptions(model=model)))


def _network_steps(
    options: StreamingBenchOptions,
    set_name: str,
    sequence: StreamSequence,
    clip: Clip,
    network: Callable[[], RememberingSegmenter],
    with_network: list[Run],
) -> list[Step]:
    name = sequence.difficulty.name

    def run(profile_ms: float, is_first: bool) -> None:
        if is_first:
            network().forget()
        outcome = run_with_network(network(), name, clip(), profile_ms)
        with_network.append(Run(set_name, MAIN, profile_ms, outcome))

    return [
        Step(f"{name} with {options.network}, {key(p)} ms", 2 * RUN_S * options.frames, partial(run, p, index == 0))
        for index, p in enumerate(options.profiles_ms)
    ]


def grayed(truth: TruthFrame) -> TruthFrame:
    """The same frame without colour."""
    gray = cv2.cvtColor(cv2.cvtColor(truth.frame.image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return replace(truth, frame=replace(truth.frame, image=np.asarray(gray, np.uint8)))


def key(profile_ms: float) -> str:
    """Name of a profile in the JSON file: its milliseconds."""
    return f"{profile_ms:g}"


def _rows(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """One row of figures per profile, with the time of a pass of all phrases [ms]."""
    phrases = VARIANTS[runs[0].variant].phrase_count if runs else 1
    return {
        key(p): {
            "pass_ms": 1e3 * _pass_s(p, phrases),
            **profile_row([r.outcome for r in runs if r.profile_ms == p]),
        }
        for p in dict.fromkeys(r.profile_ms for r in runs)
    }


def _pass_s(profile_ms: float, phrases: int) -> float:
    profile = LatencyProfile.of_total_ms(profile_ms)
    return profile.encode_s + phrases * profile.decode_s


def profile_row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of some sequences under one profile; sequences count the same, whatever their length.

    Returns:
        iou_ours, iou_peers: mean over things and frames; iou_ours_visible, iou_peers_visible: things wholly in sight;
        error_ratio, error_ratio_visible: our 1 - IoU over the peers'; answered: share of the frames;
        age_frames_max: by how many frames the newest answer lagged, at most; knowledge_age_s_max of any mask;
        work_ms: p50, p95, max per frame, of one core, without messages (see `cost`); id_switches: ours, in all;
        identity, ghosts_per_frame, error_by_cause, error_by_cause_visible: of both sides, the peers' identity also
        against the frames that they saw; keyframes_per_frame: ours.
    """
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
        "identity": {
            "ours": _identity(ours),
            "peers": _identity(peers),
            "peers_at_keyframes": _identity([o.peers_at_keyframes for o in outcomes]),
        },
        "ghosts_per_frame": {"ours": _mean([s.ghosts for s in ours]), "peers": _mean([s.ghosts for s in peers])},
        "error_by_cause": {"ours": _causes(ours), "peers": _causes(peers)},
        "error_by_cause_visible": {"ours": _causes(ours, whole_only=True), "peers": _causes(peers, whole_only=True)},
        "keyframes_per_frame": sum(o.embeddings for o in outcomes) / sum(o.frames for o in outcomes),
    }


def _identity(scores: Sequence[Score]) -> dict[str, float]:
    minutes = sum(s.seconds for s in scores) / 60 or float("nan")  # too short a sequence for a first result
    return {
        "switches_per_minute": sum(s.id_switches() for s in scores) / minutes,
        "fragmentations_per_minute": sum(s.fragmentations() for s in scores) / minutes,
        "idf1": _mean([s.idf1() for s in scores]),
    }


def _causes(scores: Sequence[Score], whole_only: bool = False) -> dict[str, float]:
    judged = [s for s in scores if not np.isnan(s.iou(whole_only))]
    shares = np.mean([s.error_by_cause(whole_only) for s in judged], 0) if judged else np.full(len(CAUSES), np.nan)
    return dict(zip(CAUSES, shares.tolist(), strict=True))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _curves(outcome: Outcome) -> dict[str, list[list[float]]]:
    """(frame, mean overlap) of both sides."""
    return {side: _curve(getattr(outcome, side)) for side in ("ours", "peers")}


def _curve(score: Score) -> list[list[float]]:
    frames = sorted({o.frame for o in score.observations})
    return [[float(f), _mean([o.iou for o in score.observations if o.frame == f])] for f in frames]
