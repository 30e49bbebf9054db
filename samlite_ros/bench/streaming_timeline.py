"""The timeline picture: camera frames, passes of the network, and which keyframe each answer's masks come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samlite_ros.bench.streaming.both_ways import CARRIED
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.scenes.hard_sequences import DEVELOPMENT, StreamSequence
from samlite_ros.streaming.answer import Published
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

PROFILE_MS = 250.0
SHOWN_S = 1.0
COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")


def draw_timeline(path: Path, seed: int = 0) -> bool:
    """Draw one second of a run at 250 ms a pass.

    Returns:
        False where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    truth = list(StreamSequence(DEVELOPMENT[0], seed, round(30 * SHOWN_S) + 1))
    run = VirtualRun(
        OracleSegmenter(truth), LatencyProfile.of_total_ms(PROFILE_MS), CARRIED, oracle_vocabulary(), charge_s=0.01
    )
    published = list(run.run(t.frame for t in truth))
    start_ns = truth[0].frame.stamp_ns
    figure = Figure(figsize=(10, 3.0), layout="constrained")
    axes = figure.subplots()
    passes = [tuple(_ms(stamp, start_ns) for stamp in (p.stamp_ns, p.begins_ns, p.ends_ns)) for p in run.record.passes]
    _draw_rows(axes, [_ms(t.frame.stamp_ns, start_ns) for t in truth], passes, published, start_ns)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return True


def _draw_rows(
    axes: Any,
    frames_ms: Sequence[float],
    passes_ms: Sequence[tuple[float, ...]],
    published: Sequence[Published],
    start_ns: int,
) -> None:
    """Frames, passes (keyframe, begin, end) and answers, one row each."""
    color = {keyframe: COLORS[i % len(COLORS)] for i, (keyframe, _, _) in enumerate(passes_ms)}
    axes.plot(frames_ms, [2] * len(frames_ms), "|", color="#444444", markersize=14)
    for keyframe, begins, ends in passes_ms:
        axes.broken_barh([(begins, ends - begins - 2)], (0.75, 0.5), facecolors=color[keyframe], alpha=0.85)
        axes.plot([keyframe, begins], [1.8, 1.25], color=color[keyframe], linewidth=1)
        axes.text(begins + 6, 1.0, "embed, decode", va="center", fontsize=8, color="white", clip_on=True)
    for entry in published:
        stamps = [i.keyframe_stamp_ns for i in entry.answer.instances]
        shown = color[_ms(max(stamps, key=stamps.count), start_ns)] if stamps else "#cccccc"
        axes.plot(_ms(entry.at_ns, start_ns), 0, "o", color=shown, markersize=5)
    axes.set_yticks([2, 1, 0], ["camera frames", "network", "answers"])
    axes.set_ylim(-0.5, 2.5)
    axes.set_xlim(-10, SHOWN_S * 1e3)
    axes.set_xlabel(
        "time [ms]; an answer has the colour of the keyframe that most of its masks were carried from; gray = none yet"
    )
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _ms(stamp_ns: int, start_ns: int) -> float:
    return (stamp_ns - start_ns) / 1e6
