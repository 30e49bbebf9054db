"""The picture of the learning curve."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib import pyplot

_MEASURES = {
    "recall": "recall",
    "precision": "precision",
    "mean_iou": "mean IoU of what is found",
    "presence": "presence accuracy",
    "absent_false_positives": "absent phrases with a detection",
}
_LOSSES = {"token_shape": "shape of image tokens", "box": "box", "dice": "mask (Dice)", "score": "score"}


def draw_curve(log: Path, picture: Path) -> None:
    """Draw losses and measures over the steps.

    Args:
        log: `log.jsonl` of a training.
        picture: PNG to write.
    """
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), dpi=90)
    trained = [entry for entry in entries if "losses" in entry]
    for name, title in _LOSSES.items():
        left.plot([e["step"] for e in trained], [e["losses"].get(name, 0.0) for e in trained], label=title, lw=1)
    left.set(xlabel="step", ylabel="weighted loss", yscale="log")
    measured = [entry for entry in entries if "measures" in entry]
    for name, title in _MEASURES.items():
        right.plot([e["step"] for e in measured], [e["measures"][name] for e in measured], label=title, lw=1)
    right.set(xlabel="step", ylim=(0, 1), title="288 phrases on scenes not trained on")
    for axes in (left, right):
        axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(picture)
    pyplot.close(figure)
