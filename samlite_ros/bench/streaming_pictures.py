"""Pictures of the streaming benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Report = Mapping[str, Any]
Rows = Mapping[str, Any]
SIDES = (("peers", "#9a9a9a", "usual way"), ("ours", "#1f77b4", "samlite"))
AT_KEYFRAMES = ("peers_at_keyframes", "#d9c28f", "usual way, judged at the frames that the network saw")
CAUSE_COLORS = ("#d0d0d0", "#f2b56b", "#7fb3d5", "#2c5f8a")
LATE_CURVES = (
    ("full_pass", "#9a9a9a", "next full pass"),
    ("decoded", "#1f77b4", "decoded"),
    ("published", "#3a923a", "in a frame's answer"),
)
LINE_COLORS = ("#1f77b4", "#e07b39", "#3a923a", "#7d5ba6")


def draw(report: Report, folder: Path) -> list[Path]:
    """Draw whatever was measured.

    Returns:
        The files written; none where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, (needs, width, height, fill) in _PICTURES.items():
        if not report.get(needs):
            continue
        figure = Figure(figsize=(width, height), layout="constrained")
        fill(figure, report)
        paths.append(folder / f"streaming_{name}.png")
        figure.savefig(paths[-1], dpi=120)
    return paths


def _iou(figure: Any, report: Report) -> None:
    rows = report["profiles"]
    axes = figure.subplots(1, 2, sharey=True)
    for axis, suffix, title in zip(axes, ("", "_visible"), ("all things", "things wholly in sight"), strict=True):
        for place, (side, color, label) in enumerate(SIDES):
            values = [r[f"iou_{side}{suffix}"] for r in rows.values()]
            bars = axis.bar([i + 0.4 * place for i in range(len(rows))], values, 0.38, color=color, label=label)
            axis.bar_label(bars, fmt="%.2f", fontsize="small")
        axis.set_xticks([i + 0.2 for i in range(len(rows))], [f"{p} ms" for p in rows])
        axis.set_title(title)
        axis.set_ylim(0, 1.1)
    axes[0].set_ylabel("IoU at every camera frame")
    _legend_above(figure, axes[0])


def _legend_above(figure: Any, axis: Any, **options: Any) -> None:
    """One legend for all panels, over them: inside it would cover bars."""
    options = {"ncol": 4, "fontsize": "small", **options}
    entries = axis.get_legend_handles_labels()
    try:
        figure.legend(*entries, loc="outside upper center", **options)
    except ValueError:  # matplotlib before 3.7, as in Ubuntu 24.04
        figure.legend(*entries, loc="upper center", **options)
        figure.get_layout_engine().set(rect=(0, 0, 1, 0.88))


def _over_time(figure: Any, report: Report) -> None:
    curves = report["curves"]
    axes = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (profile, sides) in zip(axes, curves.items(), strict=True):
        for side, color, label in SIDES:
            axis.plot([f / 30 for f, _ in sides[side]], [iou for _, iou in sides[side]], color=color, label=label)
        axis.set_ylim(0, 1.02)
        axis.set_ylabel(f"IoU, {profile} ms")
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower right", fontsize="small")
    axes[-1].set_xlabel("time [s]")


def _error(figure: Any, report: Report) -> None:
    """What the error is made of, a bar per profile and side."""
    rows, axis = report["profiles"], figure.subplots()
    bars = [(f"{p} ms, {label}", r["error_by_cause"][side]) for p, r in rows.items() for side, _, label in SIDES]
    left = [0.0] * len(bars)
    for cause, color in zip(bars[0][1], CAUSE_COLORS, strict=True):
        values = [parts[cause] for _, parts in bars]
        axis.barh(range(len(bars)), values, 0.7, left=left, color=color, label=cause)
        left = [a + b for a, b in zip(left, values, strict=True)]
    for at, total in enumerate(left):
        axis.text(total + 0.005, at, f"{total:.2f}", va="center", fontsize="small")
    axis.set_yticks(range(len(bars)), [name for name, _ in bars])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.1 * max(*left, 0.01))
    axis.set_xlabel("error (1 - IoU), mean over all things and frames")
    _legend_above(figure, axis, title="the thing was", title_fontsize="small")


def _identity(figure: Any, report: Report) -> None:
    rows, sides = report["profiles"], (SIDES[0], AT_KEYFRAMES, SIDES[1])
    panels = (("switches_per_minute", "id switches per minute"), ("fragmentations_per_minute", "losses per minute"))
    for axis, (key, title) in zip(figure.subplots(1, 3), (*panels, ("idf1", "IDF1")), strict=True):
        for place, (side, color, label) in enumerate(sides):
            values = [r["identity"][side][key] for r in rows.values()]
            bars = axis.bar([i + 0.28 * place for i in range(len(rows))], values, 0.26, color=color, label=label)
            axis.bar_label(bars, fmt="%.2f" if key == "idf1" else "%.0f", fontsize="x-small")
        axis.set_xticks([i + 0.28 for i in range(len(rows))], [f"{p} ms" for p in rows])
        axis.set_title(title, fontsize="medium")
        axis.margins(y=0.12)
    _legend_above(figure, figure.axes[0])


def _parts(figure: Any, report: Report) -> None:
    """How much the error grows without each part."""
    parts = report["parts"]
    names = [name for name in parts if name != "nothing"]
    profiles = list(parts["nothing"])
    axis = figure.subplots()
    for place, (profile, color) in enumerate(zip(profiles, LINE_COLORS, strict=False)):
        whole = parts["nothing"][profile]["error_ratio"]
        growth = [100 * (parts[name][profile]["error_ratio"] / whole - 1) for name in names]
        at = [i + 0.26 * (place - (len(profiles) - 1) / 2) for i in range(len(names))]
        axis.barh(at, growth, 0.24, color=color, label=f"{profile} ms")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.axvline(0, color="#444444", linewidth=0.8)
    axis.set_xlabel("growth of the error without this part [%]")
    axis.legend(fontsize="small")


def _late(figure: Any, report: Report) -> None:
    _late_panels(figure, {f"{p} ms, virtual clock": r for p, r in report["late"].items()})


def _live(figure: Any, report: Report) -> None:
    _late_panels(figure, {f"{model}, live": r for model, r in report["live"].items()})


def _late_panels(figure: Any, rows: Rows) -> None:
    """Share of queries against the time until their masks, a panel per row, with the bound."""
    for axis, (title, row) in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows.items(), strict=True):
        for name, color, label in LATE_CURVES:
            values = row["curves"][name]
            axis.step([0, *values], _shares(len(values)), where="post", color=color, label=label)
        axis.axvline(row["bound_ms"], color="#c0392b", linestyle="--", linewidth=1, label="bound")
        axis.set_xlim(left=0)
        axis.set_ylim(0, 102)
        axis.set_title(title, fontsize="medium")
        axis.set_xlabel("ms from the query's arrival")
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("queries with masks by then [%]")
    _legend_above(figure, figure.axes[0])


def _shares(count: int) -> list[float]:
    return [100 * i / max(count, 1) for i in range(count + 1)]


def _entering(figure: Any, report: Report) -> None:
    axis = figure.subplots()
    for (profile, row), color in zip(report["entering"].items(), LINE_COLORS, strict=False):
        values = [v for v in row["latencies"] if v is not None and v != float("inf")]
        shares = [100 * i / len(row["latencies"]) for i in range(len(values) + 1)]
        axis.step([0, *values], shares, where="post", color=color, label=f"{profile} ms")
    axis.axvline(2, color="#c0392b", linestyle="--", linewidth=1, label="two latencies")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 102)
    axis.set_xlabel("time until a thing that enters is answered, in latencies of the network")
    axis.set_ylabel("things answered by then [%]")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small", loc="lower right")


def _cost(figure: Any, report: Report) -> None:
    """Medians as bars, the 95th percentile as a line above."""
    cost, axis = report["cost"], figure.subplots()
    ways = (
        ("idle", "cpu_ms", "#1f77b4", "work"),
        ("beside", "wall_ms", "#e07b39", "elapsed beside a network in a process of its own"),
        ("beside_thread", "wall_ms", "#7f7f7f", "elapsed beside a network on a thread of the same process"),
    )
    for place, (neighbour, kind, color, label) in enumerate(ways):
        values = [r[neighbour][kind] for r in cost.values()]
        at = [i + 0.27 * place for i in range(len(cost))]
        above = [v["p95"] - v["p50"] for v in values]
        axis.bar(at, [v["p50"] for v in values], 0.26, yerr=[[0] * len(at), above], capsize=3, color=color, label=label)
    axis.axhline(1e3 / 30, color="#c0392b", linestyle="--", linewidth=1, label="a frame's time at 30 Hz")
    axis.set_xticks([i + 0.27 for i in range(len(cost))], [name.replace(" at ", "\nat ") for name in cost])
    axis.set_xlabel("number of things, and size of the image")
    axis.set_ylabel("ms per frame: median, and up to p95")
    axis.legend(fontsize="small", loc="upper left")


def _node(figure: Any, report: Report) -> None:
    axis = figure.subplots()
    for (profile, row), color in zip(report["node"].items(), LINE_COLORS, strict=False):
        label = f"{profile} ms: {100 * row['answered']:.1f} % of {row['frames_in']} frames answered"
        axis.plot(*_transposed(row["latency_curve"]), marker=".", color=color, label=label)
    axis.axvline(1e3 / 30, color="#c0392b", linestyle="--", linewidth=1, label="a frame's time")
    axis.set_xlim(left=0)
    axis.set_xlabel("stamp to arrival of the answer [ms]")
    axis.set_ylabel("answers by then [%]")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small", loc="lower right")


def _transposed(points: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


_PICTURES: dict[str, tuple[str, float, float, Callable[[Any, Report], None]]] = {
    "iou": ("profiles", 8.0, 3.6, _iou),
    "over_time": ("curves", 9.0, 6.0, _over_time),
    "error": ("profiles", 9.0, 4.0, _error),
    "identity": ("profiles", 10.0, 3.4, _identity),
    "parts": ("parts", 8.0, 5.0, _parts),
    "late": ("late", 11.0, 3.6, _late),
    "late_live": ("live", 9.0, 3.6, _live),
    "entering": ("entering", 7.0, 3.8, _entering),
    "cost": ("cost", 8.0, 4.0, _cost),
    "node": ("node", 8.0, 4.0, _node),
}
"""By file name: the part of the report that it needs, its size [inch], and what draws it."""
