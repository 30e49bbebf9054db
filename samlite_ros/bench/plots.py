"""Pictures of a report: one table of what is drawn, and how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from samlite_ros.bench.figures import Figure, Report


class Bars(NamedTuple):
    """A group of bars for each row of a table, one for each of these columns; on a log where values span orders."""

    columns: tuple[str, ...]
    log: bool = True


class Stacks(NamedTuple):
    """A bar for each row, made of all columns, which add up to this."""

    label: str


class Curves(NamedTuple):
    """A curve for each row; columns are percentiles, 'p50' and so on.

    Args:
        label: What the values are.
        shares: What the percentiles are of.
    """

    label: str
    shares: str


PICTURES: dict[str, Bars | Stacks | Curves] = {
    "reuse": Bars(("whole model", "shared image", "ours", "bound")),
    "late query": Bars(("full pass", "late query")),
    "decode": Bars(("reference", "shared", "shared, nothing kept")),
    "messages": Bars(("peers", "ours")),
    "conversion": Bars(("peers", "ours")),
    "node latency": Curves("stamp to arrival", "frames answered by then [%]"),
    "accuracy": Bars(("iou_peers", "iou_ours", "iou_peers_visible", "iou_ours_visible"), log=False),
    "sequences": Bars(("error_ratio", "error_ratio_visible"), log=False),
    "footage": Bars(("iou_peers", "iou_flow", "iou_points", "iou_ours", "iou_bound"), log=False),
    "semireal": Bars(("iou_peers", "iou_flow", "iou_points", "iou_ours", "iou_bound"), log=False),
    "footage_details": Bars(("contour_f", "idf1", "ghosts_per_frame"), log=False),
    "identity": Bars(("switches_per_minute", "fragmentations_per_minute"), log=False),
    "error_by_cause": Stacks("error (1 - IoU): the thing was"),
    "error_by_cause_visible": Stacks("error (1 - IoU) of what is wholly in sight: the thing was"),
    "parts": Bars(("error_ratio", "error_ratio_visible"), log=False),
    "entering": Bars(("p50", "p95", "max"), log=False),
    "late latency": Curves("from the query's arrival", "queries by then [%]"),
    "cost": Bars(("work_p50", "work_p95", "beside_p95", "beside_thread_p95"), log=False),
}
"""By table."""


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
        if table not in PICTURES:
            continue
        figures = [f for f in report.figures if f.table == table]
        rows = len({f.row for f in figures})
        picture = Picture(
            figsize=(9, max(4.5, 0.22 * rows * (1 + isinstance(PICTURES[table], Bars)))), layout="constrained"
        )
        _draw(picture.subplots(), figures, PICTURES[table])
        paths.append(folder / f"{table.replace(' ', '_')}.png")
        picture.savefig(paths[-1], dpi=120)
    return paths


def _draw(axes: Any, figures: Sequence[Figure], how: Bars | Stacks | Curves) -> None:
    if isinstance(how, Bars):
        _draw_bars(axes, [f for f in figures if f.column in how.columns], how)
    elif isinstance(how, Stacks):
        _draw_stacks(axes, figures, how)
    else:
        _draw_curves(axes, figures, how)
    axes.grid(alpha=0.3, axis="both" if isinstance(how, Curves) else "x")


def _draw_bars(axes: Any, figures: Sequence[Figure], how: Bars) -> None:
    """With the medians' intervals, where there are any."""
    rows = list(dict.fromkeys(f.row for f in figures))
    height = 0.8 / len(how.columns)
    for place, column in enumerate(how.columns):
        items = {f.row: f for f in figures if f.column == column}
        at = [rows.index(row) + (place - (len(how.columns) - 1) / 2) * height for row in items]
        values = [f.value for f in items.values()]
        errors = [[f.value - f.low for f in items.values()], [f.high - f.value for f in items.values()]]
        axes.barh(at, values, height, xerr=errors if any(map(any, errors)) else None, capsize=2, label=column)
    if how.log:
        axes.set_xscale("log")
    axes.set_xlabel(figures[0].unit if figures else "")
    _name_rows(axes, rows)


def _draw_stacks(axes: Any, figures: Sequence[Figure], how: Stacks) -> None:
    rows = list(dict.fromkeys(f.row for f in figures))
    left = dict.fromkeys(rows, 0.0)
    for column in dict.fromkeys(f.column for f in figures):
        items = {f.row: f.value for f in figures if f.column == column}
        axes.barh([rows.index(r) for r in items], items.values(), 0.7, left=[left[r] for r in items], label=column)
        left.update({r: left[r] + value for r, value in items.items()})
    axes.set_xlabel(how.label)
    _name_rows(axes, rows)


def _name_rows(axes: Any, rows: Sequence[str]) -> None:
    axes.set_yticks(range(len(rows)), rows, fontsize="small")
    axes.invert_yaxis()
    axes.legend(fontsize="small", ncols=4, loc="lower left", bbox_to_anchor=(0, 1))


def _draw_curves(axes: Any, figures: Sequence[Figure], how: Curves) -> None:
    """Rows that differ only in what follows the last comma share a colour."""
    rows = list(dict.fromkeys(f.row for f in figures))
    colors = {case: f"C{place}" for place, case in enumerate(dict.fromkeys(row.rpartition(", ")[0] for row in rows))}
    kinds = list(dict.fromkeys(row.rpartition(", ")[2] for row in rows))
    for row in rows:
        points = [(f.value, float(f.column[1:])) for f in figures if f.row == row]
        case, _, kind = row.rpartition(", ")
        style = ("-", "--", ":", "-.")[kinds.index(kind) % 4]
        axes.plot(*zip(*points, strict=True), style, color=colors[case], marker=".", label=row)
    axes.set_xscale("log")
    axes.set_xlabel(f"{how.label} [{figures[0].unit}]")
    axes.set_ylabel(how.shares)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
