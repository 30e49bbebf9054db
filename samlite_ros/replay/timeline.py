"""A picture of a replay: when the network ran, how old each answer was, and when each phrase was seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samlite_ros.replay.summary import AnswerRecord
from samlite_ros.virtual.network import KeyframePass

MAX_PHRASES = 30
"""At most so many phrases get a line; those asked first."""


def draw_timeline(answers: Sequence[AnswerRecord], passes: Sequence[KeyframePass], path: Path) -> None:
    """Draw the timeline.

    Args:
        answers: In the order of publishing; at least one.
        passes: Of the network.
        path: A PNG file.
    """
    start_ns = min(a.stamp_ns for a in answers)
    cameras = list(dict.fromkeys(a.camera for a in answers))
    phrases = list(dict.fromkeys(phrase for a in answers for phrase in a.counts))[:MAX_PHRASES]
    heights = [0.6 + 0.4 * len(cameras), 2.0, 0.6 + 0.3 * len(phrases)]
    figure = Figure(figsize=(12, 1.2 + sum(heights)), layout="constrained")
    network, age, seen = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": heights})
    _draw_network(network, passes, cameras, start_ns)
    _draw_ages(age, answers, cameras, start_ns)
    _draw_phrases(seen, answers, phrases, start_ns)
    seen.set_xlabel("time since the first answered frame [s]")
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _draw_network(axes: Axes, passes: Sequence[KeyframePass], cameras: Sequence[str], start_ns: int) -> None:
    for row, camera in enumerate(cameras):
        for late, color in ((False, "tab:blue"), (True, "tab:orange")):
            spans = [
                ((p.begins_ns - start_ns) / 1e9, max((p.ends_ns - p.begins_ns) / 1e9, 0.002))
                for p in passes
                if p.camera == camera and p.late == late
            ]
            axes.broken_barh(spans, (row - 0.35, 0.7), facecolors=color, edgecolors="white", linewidth=0.5)
    axes.set_yticks(range(len(cameras)), [camera or "camera" for camera in cameras])
    axes.set_title("the network at work: passes blue, late queries orange", fontsize=9, loc="left")


def _draw_ages(axes: Axes, answers: Sequence[AnswerRecord], cameras: Sequence[str], start_ns: int) -> None:
    for camera in cameras:
        mine = [a for a in answers if a.camera == camera]
        times_s = [(a.stamp_ns - start_ns) / 1e9 for a in mine]
        axes.plot(times_s, [a.age_ms for a in mine], ".-", markersize=3, linewidth=0.7, label=camera or None)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("age [ms]")
    axes.set_title("age of the newest knowledge in each answer", fontsize=9, loc="left")
    if len(cameras) > 1:
        axes.legend(fontsize=8)


def _draw_phrases(axes: Axes, answers: Sequence[AnswerRecord], phrases: Sequence[str], start_ns: int) -> None:
    for row, phrase in enumerate(phrases):
        asked = [((a.stamp_ns - start_ns) / 1e9, a.counts[phrase]) for a in answers if phrase in a.counts]
        axes.plot([t for t, n in asked if not n], [row] * sum(not n for _, n in asked), "|", color="lightgray")
        axes.plot([t for t, n in asked if n], [row] * sum(n > 0 for _, n in asked), "|", color="tab:green")
    axes.set_yticks(range(len(phrases)), phrases)
    axes.set_ylim(max(len(phrases), 1) - 0.5, -0.5)
    axes.set_title("seen (green) and looked for in vain (gray)", fontsize=9, loc="left")
