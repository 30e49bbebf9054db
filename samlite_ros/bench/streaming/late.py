"""Late queries: from a query's arrival, at a random moment of a running pass, to its first mask.

On the virtual clock here; through the real node with the demo network in `bench.node`. The peer is the same query at
the same moment, waiting for the next full pass that it is part of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from samlite_ros.bench.figures import CURVE, Figure, percentiles, row
from samlite_ros.bench.streaming.both_ways import CARRIED, USUAL
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.scenes.clips import pendulum
from samlite_ros.scenes.hard_sequences import DEVELOPMENT, StreamSequence
from samlite_ros.streaming.answer import Published
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.types import Prompt, Vocabulary
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import RunRecord, VirtualRun

QUERIES = 40
SIZE, RENDERED_FRAMES = (240, 320), 60
"""Small images: on the virtual clock a frame's work is charged as a fixed time."""
WORK_S = 0.01
ALLOWED = 1.1
"""The bound allows 10 % more than its parts."""
KINDS = ("decoded", "published", "full_pass")
"""Fields of `Waits`."""


@dataclass(frozen=True)
class Waits:
    """What became of one query.

    Args:
        decoded_ms: From its arrival until the network had its masks [ms].
        published_ms: Until a frame's answer showed one [ms]; NaN where the network found nothing to show.
        full_pass_ms: Until the next full pass that it was part of had its masks [ms].
    """

    decoded_ms: float
    published_ms: float
    full_pass_ms: float


@dataclass(frozen=True)
class Bound:
    """What a late query has to take: the rest of one block, its embedding, its decoding [ms]."""

    block_ms: float
    text_ms: float
    decode_ms: float

    @property
    def allowed_ms(self) -> float:
        """The parts and 10 % [ms]."""
        return ALLOWED * (self.block_ms + self.text_ms + self.decode_ms)


def run(options: StreamingBenchOptions, progress: Progress) -> list[Figure]:
    """Late queries under every profile; a frame's work is charged as WORK_S, since the images are small."""
    profiles = progress(options.profiles_ms, "late queries")
    return [f for p in profiles for f in figures_of_late(f"{p:g} ms", *late_queries(options.seed, p))]


def figures_of_late(case: str, waits: Sequence[Waits], bound: Bound) -> list[Figure]:
    """The distribution, and how it stands to its bound and to waiting.

    Returns:
        queries, shown (of how many a mask was published); ratio_of_medians and ratio_of_p95: decoded over full pass;
        p95_over_bound; within_bound: share of the queries; block, text, decode, bound, decoded, published and
        full_pass [ms]; and the distributions, as a table of their own.
    """
    name = f"late/{case}"
    times = {kind: np.array([getattr(w, f"{kind}_ms") for w in waits]) for kind in KINDS}
    shown = {kind: values[~np.isnan(values)] for kind, values in times.items()}
    decoded, full = shown["decoded"], shown["full_pass"]
    figures = row(
        name,
        {
            "queries": len(waits),
            "shown": len(shown["published"]),
            "ratio_of_medians": float(np.median(decoded) / np.median(full)),
            "ratio_of_p95": float(np.percentile(decoded, 95) / np.percentile(full, 95)),
            "p95_over_bound": float(np.percentile(decoded, 95) / bound.allowed_ms),
            "within_bound": float(np.mean(decoded <= bound.allowed_ms)),
        },
    )
    parts = {"block": bound.block_ms, "text": bound.text_ms, "decode": bound.decode_ms, "bound": bound.allowed_ms}
    figures += row(name, parts, "ms")
    for kind, values in shown.items():
        figures += percentiles(name, "ms", values.tolist(), (50, 95, 100), f"{kind}_p")
        figures += percentiles(f"late latency/{case}, {kind}", "ms", values.tolist(), CURVE)
    return figures


def late_queries(seed: int, profile_ms: float, queries: int = QUERIES) -> tuple[list[Waits], Bound]:
    """On the virtual clock, with the oracle.

    The things are dealt out to three phrases. One is always asked for; of the others one comes at a random moment and
    goes again, and then it is the other's turn, so that no pass is running that knows the phrase from before.
    """
    scene = StreamSequence(replace(DEVELOPMENT[0], count=8), seed, RENDERED_FRAMES, size=SIZE)
    truth = pendulum(list(scene), round(30 * (1 + queries) * _period_s(profile_ms)))
    changes = _comings_and_goings(seed, truth[0].frame.stamp_ns, profile_ms, queries)
    profile = LatencyProfile.of_total_ms(profile_ms)

    def run(options: StreamingOptions, work_s: float) -> tuple[RunRecord, Sequence[Published]]:
        run = VirtualRun(OracleSegmenter(truth, 3), profile, options, oracle_vocabulary(1), changes, charge_s=work_s)
        published = list(run.run(t.frame for t in truth))
        return run.record, published

    (record, published), (usual, _) = run(CARRIED, WORK_S), run(USUAL, 0.0)
    waits = [
        Waits(
            _decoded_ms(asked_ns, record),
            _published_ms(asked_ns, asked.queries[-1].prompt, published),
            _decoded_ms(asked_ns, usual),
        )
        for asked_ns, asked in changes[::2]
    ]
    bound = Bound(1e3 * profile.encode_s / profile.blocks, 0.0, 1e3 * profile.decode_s)
    return waits, bound


def _period_s(profile_ms: float) -> float:
    """From one query's earliest moment to the next one's: both ways have answered by then, the usual in two passes."""
    return 0.4 + 4.1 * profile_ms / 1e3


def _comings_and_goings(seed: int, start_ns: int, profile_ms: float, queries: int) -> list[tuple[int, Vocabulary]]:
    """In turn: a second phrase is asked for at a random moment, and withdrawn."""
    rng = np.random.default_rng([21, seed])
    always, *others = oracle_vocabulary(3).queries
    period_s, pass_s = _period_s(profile_ms), profile_ms / 1e3
    changes = []
    for number in range(queries):
        asked_s = period_s * (number + 0.5) + rng.uniform(0.0, 1.2 * pass_s)
        asked = Vocabulary(2 * number + 2, (always, others[number % 2]))
        changes.append((start_ns + int(1e9 * asked_s), asked))
        withdrawn_s = asked_s + 0.2 + 2.7 * pass_s
        changes.append((start_ns + int(1e9 * withdrawn_s), Vocabulary(2 * number + 3, (always,))))
    return changes


def _decoded_ms(asked_ns: int, record: RunRecord) -> float:
    """Until the first work that was begun after the query's arrival, and so is part of it, was done.

    Between two blocks of a pass that is late decoding; a job of its own, or a full pass, otherwise.
    """
    return (next(p.ends_ns for p in record.passes if p.begins_ns >= asked_ns) - asked_ns) / 1e6


def _published_ms(asked_ns: int, prompt: Prompt, published: Sequence[Published]) -> float:
    """Until the first answer with a mask of the prompt; NaN = never."""
    shown = (e.at_ns for e in published if e.at_ns >= asked_ns and _answers(e, prompt))
    return (next(shown, float("nan")) - asked_ns) / 1e6


def _answers(entry: Published, prompt: Prompt) -> bool:
    return any(m.query.prompt == prompt for i in entry.answer.instances for m in i.matches)
