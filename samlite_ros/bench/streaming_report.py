"""Tables and pictures of the streaming benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Report = Mapping[str, Any]
"""What `streaming.run_bench` returns."""


def tables(report: Report) -> str:
    """All tables as text."""
    parts = [_main_table("all sequences", report["profiles"])]
    parts += [_main_table(name, rows) for name, rows in report["sets"].items()]
    parts += [_main_table(name, rows) for name, rows in report["variants"].items()]
    parts += [_causes_table(report["profiles"]), _identity_table(report["profiles"]), _sequence_table(report)]
    if "extras" in report:
        parts += _extras_tables(report["extras"])
    if "parts" in report:
        parts.append(_parts_table(report["parts"]))
    if "network" in report:
        parts.append(_network_table(report["network"]))
    return "\n\n".join(parts)


def _main_table(title: str, rows: Mapping[str, Any]) -> str:
    head = ["profile", "peers", "ours", "error", "peers, in sight", "ours", "error", "answered", "late", "age", "work"]
    lines = [
        [
            f"{profile} ms",
            f"{r['iou_peers']:.3f}",
            f"{r['iou_ours']:.3f}",
            f"x {r['error_ratio']:.2f}",
            f"{r['iou_peers_visible']:.3f}",
            f"{r['iou_ours_visible']:.3f}",
            f"x {r['error_ratio_visible']:.2f}",
            f"{100 * r['answered']:.1f} %",
            f"{r['age_frames_max']} frames",
            f"{r['knowledge_age_s_max']:.2f} s",
            "{p50:.1f} / {p95:.1f} / {max:.1f} ms".format(**r["work_ms"]),
        ]
        for profile, r in rows.items()
    ]
    return _aligned(f"{title}: IoU at every frame (work: p50 / p95 / max)", head, lines)


def _causes_table(rows: Mapping[str, Any]) -> str:
    causes = list(next(iter(rows.values()))["error_by_cause"]["ours"])
    lines = [
        [f"{profile} ms, {side}", *(f"{r['error_by_cause'][side][cause]:.3f}" for cause in causes)]
        for profile, r in rows.items()
        for side in ("ours", "peers")
    ]
    return _aligned("what the error (1 - IoU) is made of", ["", *causes], lines)


def _identity_table(rows: Mapping[str, Any]) -> str:
    lines = [
        [
            f"{profile} ms, {side}",
            f"{i['switches_per_minute']:.1f}",
            f"{i['fragmentations_per_minute']:.1f}",
            f"{i['idf1']:.3f}",
        ]
        for profile, r in rows.items()
        for side, i in r["identity"].items()
    ]
    return _aligned(
        "identity (peers: keyframes matched without carrying)", ["", "switches/min", "fragments/min", "IDF1"], lines
    )


def _sequence_table(report: Report) -> str:
    profiles = list(report["profiles"])
    lines = [
        [name, *(f"x {rows[p]['error_ratio']:.2f} ({rows[p]['error_ratio_visible']:.2f})" for p in profiles)]
        for name, rows in report["sequences"].items()
    ]
    return _aligned("error over the peers', all (in sight)", ["sequence", *(f"{p} ms" for p in profiles)], lines)


def _extras_tables(extras: Mapping[str, Any]) -> list[str]:
    still, late, cost = extras["still"], extras["late_query"], extras["cost"]
    still_line = (
        f"still scene: {100 * still['share_without_embedding']:.1f} % of {still['frames']} frames without embedding; "
        f"IoU {still['iou_ours']:.4f}, peers {still['iou_peers']:.4f}"
    )
    entering = [
        f"a thing of 24 px enters a still scene, {p} ms: answered after {e['answered_after_ms']:.0f} ms, "
        f"{e['latencies']:.2f} latencies"
        for p, e in extras["entering"].items()
    ]
    late_columns = (
        "decoded_p50_ms",
        "decoded_p95_ms",
        "late_p50_ms",
        "late_p95_ms",
        "full_pass_p50_ms",
        "full_pass_p95_ms",
    )
    late_lines = [
        [
            f"{p} ms",
            *(f"{row[name]:.0f}" for name in late_columns),
            f"x {row['ratio_of_medians']:.2f}",
            f"{row['queries']}",
        ]
        for p, row in late.items()
    ]
    late_head = [
        "profile",
        "decoded p50",
        "p95",
        "published p50",
        "p95",
        "next full pass p50",
        "p95",
        "ratio",
        "queries",
    ]
    cost_lines = [
        [name, f"{r['instances']:.1f}", f"{r['p50']:.1f}", f"{r['p95']:.1f}", f"{r['max']:.1f}"]
        for name, r in cost.items()
    ]
    return [
        "\n".join([still_line, *entering]),
        _aligned("late query to its masks [ms]", late_head, late_lines),
        _aligned("work per frame [ms of one core]", ["things", "published", "p50", "p95", "max"], cost_lines),
    ]


def _parts_table(parts: Mapping[str, Any]) -> str:
    profiles = list(next(iter(parts.values())))
    lines = [
        [name, *(f"x {rows[p]['error_ratio']:.3f} ({rows[p]['error_ratio_visible']:.3f})" for p in profiles)]
        for name, rows in parts.items()
    ]
    return _aligned(
        "each part's worth: error over the peers' without it", ["without", *(f"{p} ms" for p in profiles)], lines
    )


def _network_table(rows: Mapping[str, Any]) -> str:
    lines = [
        [f"{p} ms", f"{r['iou_peers']:.3f}", f"{r['iou_ours']:.3f}", f"x {r['error_ratio']:.2f}"]
        for p, r in rows.items()
    ]
    return _aligned(
        "with the network in the loop, its own errors included", ["profile", "peers", "ours", "error"], lines
    )


def _aligned(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, *lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([title, text[0], "-" * max(map(len, text)), *text[1:]])


def draw(report: Report, folder: Path) -> list[Path]:
    """Draw the main table and the course of overlap over time.

    Returns:
        The files written; none where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    bars, curves = Figure(figsize=(8, 3.6), layout="constrained"), Figure(figsize=(9, 6), layout="constrained")
    _draw_bars(bars.subplots(1, 2, sharey=True), report["profiles"])
    _draw_curves(curves.subplots(len(report["curves"]), 1, sharex=True, squeeze=False)[:, 0], report["curves"])
    paths = [folder / "streaming_iou.png", folder / "streaming_over_time.png"]
    for figure, path in zip((bars, curves), paths, strict=True):
        figure.savefig(path, dpi=120)
    return paths


def _draw_bars(axes: Any, rows: Mapping[str, Any]) -> None:
    for axis, suffix, title in zip(axes, ("", "_visible"), ("all things", "things wholly in sight"), strict=True):
        for place, (side, color, label) in enumerate(
            (("peers", "#999999", "usual way"), ("ours", "#1f77b4", "samlite"))
        ):
            values = [r[f"iou_{side}{suffix}"] for r in rows.values()]
            bars = axis.bar([i + 0.4 * place for i in range(len(rows))], values, 0.38, color=color, label=label)
            axis.bar_label(bars, fmt="%.2f", fontsize="small")
        axis.set_xticks([i + 0.2 for i in range(len(rows))], [f"{p} ms" for p in rows])
        axis.set_title(title)
        axis.set_ylim(0, 1.08)
    axes[0].set_ylabel("IoU at every camera frame")
    axes[0].legend(loc="upper left", fontsize="small")


def _draw_curves(axes: Any, curves: Mapping[str, Any]) -> None:
    for axis, (profile, sides) in zip(axes, curves.items(), strict=True):
        for side, color, label in (("peers", "#999999", "usual way"), ("ours", "#1f77b4", "samlite")):
            axis.plot([f / 30 for f, _ in sides[side]], [iou for _, iou in sides[side]], color=color, label=label)
        axis.set_ylim(0, 1.02)
        axis.set_ylabel(f"IoU, {profile} ms")
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower right", fontsize="small")
    axes[-1].set_xlabel("time [s]")
