"""Many phrases: what `decode_budget` does to waits and throughput, and what looking back (`remember_s`) finds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from samlite_ros.bench.figures import Figure, row
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.phrase_turns import CASES, turns
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.bench.workload import segmenter_options
from samlite_ros.queries import Asked, QueryOptions, QueryRequest
from samlite_ros.replay.script import ask_from_start
from samlite_ros.scenes.clips import pendulum
from samlite_ros.scenes.hard_sequences import DEVELOPMENT, StreamSequence, TruthFrame
from samlite_ros.scenes.render import Scene, render_scene
from samlite_ros.segmenter import load_segmenter
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.streaming.ring import Memory
from samlite_ros.types import DecodeOptions, Frame, Prompt, QueryKey, Segmentation
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.loop import PublishedAnswer
from samlite_ros.virtual.node import PublishedStatus, VirtualNode
from samlite_ros.virtual.run import VirtualRun

PHRASES = 64
SLOW_MS = 950.0
"""The published time of a pass with one phrase on an Orin NX."""
SLOW_BUDGETS_S = (0.0, 0.35, 1.1)
SLOW_FRAMES = 450
CLIP_FRAMES, SLOW_PX_S = 60, 40.0
"""The camera pans to and fro, so that things stay in sight."""
REMEMBER_S, AFTER_S = 20.0, (1.0, 3.0, 8.0)
LEAVES_S, IDLE_S, PAST_PROFILE = 4.0, 0.3, LatencyProfile.of_total_ms(126.0)


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Turns with the demo network, on the virtual clock of a slow machine, and looking back."""
    segmenter = load_segmenter(segmenter_options("demo", options))
    figures: list[Figure] = []
    for budget_s, mix in CASES:
        on_step(f"budget of {1e3 * budget_s:g} ms: {mix}")
        figures += turns(segmenter, mix, budget_s)
    for phrases in (8, PHRASES):
        for budget_s in SLOW_BUDGETS_S:
            on_step(f"{SLOW_MS:g} ms a pass: {phrases} phrases, budget {1e3 * budget_s:g} ms")
            figures += slow_machine(phrases, budget_s, SLOW_FRAMES)
    for period_s in (IDLE_S, 0.0):
        for after_s in AFTER_S:
            on_step(f"looking back: asked {after_s:g} s after its thing left")
            figures += looking_back(segmenter, after_s, period_s)
    return figures


def slow_machine(phrases: int, budget_s: float, frames: int) -> list[Figure]:
    """Things of a rendered sequence, one phrase each, the rest of the phrases in vain; the network exact but late.

    Returns:
        One row: answers with a mask [%], masks an answer, their mean overlap with what is seen, for the age of
        knowledge [s] p50 and max over answers and phrases, the longest wait that is stated [s], passes, and 1 where a
        second run said the same.
    """
    scene = StreamSequence(replace(DEVELOPMENT[0], count=8, speed_px_s=SLOW_PX_S), 3, CLIP_FRAMES, size=(240, 320))
    truth = pendulum(list(scene), frames)
    first = _slow_run(truth, phrases, budget_s)
    again = _slow_run(truth, phrases, budget_s) if budget_s and phrases == PHRASES else first
    answers, passes = first
    masks = [len(answer.instances) for answer in answers]
    overlaps = [o for a, t in zip(answers, truth, strict=True) for o in _overlaps(a, t)]
    start_ns = truth[0].frame.stamp_ns
    ages_s = [(a.stamp_ns - (r.keyframe_stamp_ns or start_ns)) / 1e9 for a in answers for r in a.results]
    stated_s = [r.turn.wait_s for r in answers[-1].results if r.turn is not None]
    values = {
        "answers with a mask [%]": 100 * float(np.mean([count > 0 for count in masks])),
        "masks an answer": float(np.mean(masks)),
        "things seen": float(np.mean([len(t.masks) for t in truth])),
        "overlap": float(np.mean(overlaps)) if overlaps else math.nan,
        "age p50 [s]": float(np.median(ages_s)),
        "age max [s]": max(ages_s),
        "wait stated [s]": max(stated_s, default=0.0),
        "passes": passes,
        "the same twice": _content(first[0]) == _content(again[0]),
    }
    budget = f"budget {1e3 * budget_s:g} ms" if budget_s else "no budget"
    return row(f"turns at {SLOW_MS:g} ms a pass/{phrases} phrases, {budget}", values)


def _slow_run(truth: Sequence[TruthFrame], phrases: int, budget_s: float) -> tuple[list[Segmentation], int]:
    options = StreamingOptions(propagate=True, decode_budget_s=budget_s)
    asked = oracle_vocabulary(phrases)
    profile = LatencyProfile.of_total_ms(SLOW_MS)
    virtual = VirtualRun(OracleSegmenter(truth, phrases), profile, options, asked, charge_s=0.0)
    answers = [published.answer for published in virtual.run(t.frame for t in truth)]
    return answers, len(virtual.record.passes)


def _overlaps(answer: Segmentation, truth: TruthFrame) -> list[float]:
    """Of each mask that is shown, with the thing that it covers best."""
    best = []
    for instance in answer.instances:
        inside = instance.mask.full()
        shares = [0.0]
        for mask in truth.masks.values():
            thing = mask.full()
            shares.append(float((inside & thing).sum() / max((inside | thing).sum(), 1)))
        best.append(max(shares))
    return best


def _content(answers: Sequence[Segmentation]) -> list[object]:
    return [
        [(r.keyframe_stamp_ns, r.count) for r in a.results] + [i.mask.full().tobytes() for i in a.instances]
        for a in answers
    ]


def looking_back(segmenter: Segmenter, after_s: float, period_s: float) -> list[Figure]:
    """A rendered scene that a thing leaves with all others, and another one; its phrase is asked some time later.

    Args:
        segmenter: The network.
        after_s: When [s].
        period_s: Least time between two passes [s]; 0 = the network is never idle.

    Returns:
        One row: how long after the question `last_seen` is first told [s], and how long before it left that was [s];
        the same of the newest `last_seen`; looks, keyframes since it left, and the p50 of the age of all answers with
        looking back and without [ms].
    """
    scenes = render_scene(1, (240, 320)), render_scene(2, (240, 320))
    phrase, other = _only_in_first(segmenter, scenes)
    node, published = _past_run(segmenter, scenes, (phrase, other), (after_s, period_s), REMEMBER_S)
    _, without = _past_run(segmenter, scenes, (phrase, other), (after_s, period_s), 0.0)
    left_ns, asked_ns = _at_ns(LEAVES_S), _at_ns(LEAVES_S + after_s)
    known = [
        (item.at_ns, status.last_seen_ns)
        for item in published
        if isinstance(item, PublishedStatus)
        for status in item.statuses
        if status.text == phrase and status.last_seen_ns
    ]
    first_at_ns, first_seen_ns = known[0] if known else (math.nan, math.nan)
    seen_ns = max((seen for _, seen in known), default=math.nan)
    at_ns = next((at for at, seen in known if seen == seen_ns), math.nan)
    values = {
        "found": bool(known),
        "known after [s]": (first_at_ns - asked_ns) / 1e9,
        "seen before it left by at least [s]": (left_ns - first_seen_ns) / 1e9,
        "right after [s]": (at_ns - asked_ns) / 1e9,
        "seen before it left by [s]": (left_ns - seen_ns) / 1e9,
        "looks": node.looks_back,
        "keyframes since it left": sum(left_ns <= p.stamp_ns <= asked_ns for p in node.passes if not p.late),
        "age p50 [ms]": _median_age_ms(published),
        "age p50 without [ms]": _median_age_ms(without),
    }
    idle = "" if period_s else ", never idle"
    return row(f"looking back/asked {after_s:g} s after it left{idle}", values)


def _at_ns(at_s: float) -> int:
    return round((1 + at_s) * 1e9)


def _only_in_first(segmenter: Segmenter, scenes: tuple[Scene, Scene]) -> tuple[str, str]:
    """A phrase that the network finds in the first scene only, and one that it finds in the second."""

    def finds(scene: Scene, text: str) -> bool:
        image = segmenter.embed_image(Frame(scene.image, 1))
        (result,) = segmenter.segment(image, segmenter.embed_prompts([Prompt(text)]), [DecodeOptions()])
        return bool(len(result.scores))

    names = [[f"{thing.colour} {thing.shape}" for thing in scene.objects] for scene in scenes]
    first = next(n for n in names[0] if finds(scenes[0], n) and not finds(scenes[1], n))
    return first, next(n for n in names[1] if finds(scenes[1], n))


def _past_run(
    segmenter: Segmenter,
    scenes: tuple[Scene, Scene],
    phrases: tuple[str, str],
    times_s: tuple[float, float],
    remember_s: float,
) -> tuple[VirtualNode, list[PublishedAnswer | PublishedStatus]]:
    """Images shake by some pixels: nothing is ever still."""
    (phrase, other), (after_s, period_s) = phrases, times_s
    late = Asked(_at_ns(LEAVES_S + after_s), (QueryRequest(QueryKey("bench", "late"), text=phrase),))
    node = VirtualNode(
        segmenter,
        [""],
        StreamingOptions(propagate=True, recalls=remember_s > 0, keyframe_period_s=period_s),
        QueryOptions(),
        [*ask_from_start("bench", (other,), _at_ns(0)), late],
        PAST_PROFILE,
        memory=Memory(remember_s, 10**9),
    )
    step_s, ends_s = 0.05, LEAVES_S + after_s + (6.0 if period_s else 3.0 * after_s)
    frames = (
        Frame(np.roll(scenes[at_s >= LEAVES_S].image, (n % 5 * 3, n % 7 * 3), (0, 1)), _at_ns(at_s))
        for n in range(round(ends_s / step_s))
        for at_s in (n * step_s,)
    )
    return node, list(node.run(frames))


def _median_age_ms(published: Sequence[PublishedAnswer | PublishedStatus]) -> float:
    answers = [item.answer for item in published if isinstance(item, PublishedAnswer)]
    return float(np.median([(a.stamp_ns - a.keyframe_stamp_ns) / 1e6 for a in answers if a.keyframe_stamp_ns]))
