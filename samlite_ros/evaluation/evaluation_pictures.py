"""Pictures of an evaluation: measures by phrase, age of the masks, error over time, and the worst frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samlite_ros.bags.results import FrameKey, find_answers
from samlite_ros.evaluation.pictures import Tile, draw_answer, find_images, outline, save, sheet
from samlite_ros.evaluation.report import OVERALL
from samlite_ros.evaluation.truth.truth import Truth

BARS = ("precision", "recall", "mean_iou", "cgf1", "streaming_iou", "jf", "idf1")


def draw_measures(content: Mapping[str, Any], path: Path) -> None:
    """Draw what `report.to_json` gives.

    Args:
        content: The evaluation.
        path: A PNG file.
    """
    figure = Figure(figsize=(12, 9), layout="constrained")
    bars, ages, errors = figure.subplots(3, 1)
    _draw_bars(bars, content)
    _draw_ages(ages, content["age_histogram"])
    _draw_errors(errors, content["frames"])
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _draw_bars(axes: Axes, content: Mapping[str, Any]) -> None:
    rows = {**content["phrases"], OVERALL: content[OVERALL]}
    width = 0.8 / len(BARS)
    for place, name in enumerate(BARS):
        x = np.arange(len(rows)) + (place - len(BARS) / 2 + 0.5) * width
        bars = axes.bar(x, [values[name] or 0.0 for values in rows.values()], width, label=name)
        axes.bar_label(bars, ["-" if values[name] is None else "" for values in rows.values()])  # not defined
    axes.set_xticks(range(len(rows)), list(rows), rotation=20, ha="right")
    axes.set_ylim(0, 1)
    axes.legend(ncols=len(BARS), fontsize=8, loc="lower right", bbox_to_anchor=(1, 1))


def _draw_ages(axes: Axes, histogram: Mapping[str, Any]) -> None:
    edges = histogram["edges_ms"]
    names = [f"{low:g} to {high:g}" for low, high in pairwise(edges)] + [f"from {edges[-1]:g}"]
    axes.bar(range(len(names)), histogram["counts"])
    axes.set_xticks(range(len(names)), names)
    axes.set_xlabel("age of the knowledge behind a mask [ms]")
    axes.set_ylabel("masks")


def _draw_errors(axes: Axes, frames: Sequence[Mapping[str, Any]]) -> None:
    start_ns = min((f["stamp_ns"] for f in frames), default=0)
    for camera in dict.fromkeys(f["camera"] for f in frames):
        mine = [f for f in frames if f["camera"] == camera]
        times_s = [(f["stamp_ns"] - start_ns) / 1e9 for f in mine]
        axes.plot(times_s, [f["error"] for f in mine], ".-", markersize=3, linewidth=0.7, label=camera or None)
    axes.set_xlabel("time [s]")
    axes.set_ylabel("error: missed, too many, 1 - IoU")


def draw_worst_frames(
    result: Path,
    truth: Truth,
    worst: Sequence[tuple[str, int, float]],
    path: Path,
    images: Path | None = None,
    topics: Sequence[str] = (),
) -> None:
    """Draw chosen frames: what was found in colour, what is there in white outlines.

    Args:
        result: The bag with the answers.
        truth: What is there.
        worst: Camera, stamp [ns] and error of each frame.
        path: A PNG or JPEG file.
        images: A bag with the images; None = the result's own, where it holds them.
        topics: See `pictures.find_images`.
    """
    wanted = [FrameKey(camera, stamp_ns) for camera, stamp_ns, _ in worst]
    answers = find_answers(result, wanted)
    pixels = find_images([images or result], wanted, topics)
    tiles = []
    for key, (camera, stamp_ns, error) in zip(wanted, worst, strict=True):
        drawn = draw_answer(pixels.get(key), answers[key])
        frame = truth.frames[FrameKey(truth.camera_for(camera), stamp_ns)]
        asked = dict.fromkeys(r.query.prompt.display for r in answers[key].results)
        masks = [t.mask for phrase in asked for t in frame.instances(phrase)]
        tiles.append(Tile(f"{camera} {stamp_ns} ns  error {error:.2f}".strip(), outline(drawn, masks)))
    save(path, sheet(tiles, columns=min(3, len(tiles))))
