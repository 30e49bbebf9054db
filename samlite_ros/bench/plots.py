"""Pictures of a report: bars for times, curves for latencies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samlite_ros.bench.figures import Figure, Report

_BARS = {
    "reuse": ("whole model", "shared image", "ours", "bound"),
    "late query": ("full pass", "late query"),
    "decode": ("reference", "shared", "shared, nothing kept"),
    "messages": ("peers", "ours"),
    "conversion": ("peers", "ours"),
}
"""Table to the columns that are drawn beside each other."""
_CURVE = "node latency"


def draw_report(report: Report, folder: Path) -> list[Path]:
    """Draw what the report holds.

    Args:
        report: The report.
        folder: Where PNG files go.

    Returns:
        The files written; none where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure as Picture
    except ModuleNotFoundError:
        return []
    paths = []
    for table in dict.fromkeys(f.table for f in report.figures):
        figures = [f for f in report.figures if f.table == table]
        picture = Picture(figsize=(9, 4.5), layout="constrained")
        if table == _CURVE:
            _draw_curves(picture.subplots(), figures)
        elif table in _BARS:
            _draw_bars(picture.subplots(), figures, _BARS[table])
        else:
            continue
        paths.append(folder / f"{table.replace(' ', '_')}.png")
        picture.savefig(paths[-1], dpi=120)
    return paths


def _draw_bars(axes: Any, figures: Sequence[Figure], columns: Sequence[str]) -> None:
    """A group of bars per row with the medians' intervals; times span orders of magnitude, so the scale is a log."""
    rows = list(dict.fromkeys(f.row for f in figures))
    width = 0.8 / len(columns)
    for place, column in enumerate(columns):
        items = {f.row: f for f in figures if f.column == column}
        at = [rows.index(row) + (place - (len(columns) - 1) / 2) * width for row in items]
        values = [f.value for f in items.values()]
        errors = [[f.value - f.low for f in items.values()], [f.high - f.value for f in items.values()]]
        axes.bar(at, values, width, yerr=errors, capsize=2, label=column)
    axes.set_yscale("log")
    axes.set_ylabel(f"{figures[0].unit} (median and its interval)")
    axes.set_xticks(range(len(rows)), rows, rotation=20, ha="right")
    axes.grid(axis="y", alpha=0.3)
    axes.legend()


def _draw_curves(axes: Any, figures: Sequence[Figure]) -> None:
    """Share of frames against latency, a curve per setting; columns are percentiles, 'p50' and so on.

    Rows that differ only in what follows the comma share a colour.
    """
    rows = dict.fromkeys(f.row for f in figures)
    colors = {camera: f"C{place}" for place, camera in enumerate(dict.fromkeys(row.split(", ")[0] for row in rows))}
    for row in rows:
        points = [(f.value, float(f.column[1:])) for f in figures if f.row == row]
        camera, _, answers = row.partition(", ")
        style = "--" if answers == "network" else "-"
        axes.plot(*zip(*points, strict=True), style, color=colors[camera], marker=".", label=row)
    axes.set_xscale("log")
    axes.set_xlabel(f"stamp to arrival [{figures[0].unit}]")
    axes.set_ylabel("frames answered by then [%]")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
