"""The picture of what is found, by object size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def draw_size_curve(rows: Sequence[dict[str, float]], picture: Path) -> None:
    """Draw recall and IoU over the size of objects.

    Args:
        rows: `by_size_px` of an evaluation's report.
        picture: PNG to write.
    """
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.4), dpi=90)
    size = [(row["from"] * row["to"]) ** 0.5 for row in rows]
    axes.plot(size, [row["recall"] for row in rows], "o-", label="recall at IoU 0.5")
    found = [(x, row["mean_iou"]) for x, row in zip(size, rows, strict=True) if row["mean_iou"] is not None]
    axes.plot([x for x, _ in found], [iou for _, iou in found], "s--", label="mean IoU of what is found")
    for side, style in ((48, ":"), (96, "-.")):
        ceiling = [row[f"ceiling_{side}"] for row in rows]
        axes.plot(size, ceiling, style, color="grey", lw=1, label=f"best possible IoU with {side} x {side} masks")
    for x, row in zip(size, rows, strict=True):
        axes.annotate(f"{row['objects']}", (x, 0.02), fontsize=7, ha="center", color="grey")
    axes.axvline(48, color="grey", lw=1, ls=":")
    axes.set(xscale="log", ylim=(0, 1), xlabel="square root of the visible area in a 640 x 480 image [px]")
    axes.set_xticks(
        [12, 16, 24, 32, 48, 64, 96, 128, 192, 256], labels=map(str, (12, 16, 24, 32, 48, 64, 96, 128, 192, 256))
    )
    axes.minorticks_off()
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(picture)
    pyplot.close(figure)
