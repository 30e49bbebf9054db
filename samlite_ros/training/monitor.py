"""How good the network is during training, on scenes that it does not train on, at the size of its own masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from samlite_ros.training.assignment import Matches
from samlite_ros.training.batches import Batch
from samlite_ros.training.forward import forward
from samlite_ros.training.losses import mask_logits

_SCORE = 0.5
_IOU = 0.5


@dataclass
class Tally:
    """Counts over prompts.

    Args:
        found, missed, wrong: Objects found and missed, detections without an object, for prompts that name something.
        overlap: Sum of the IoU of what was found.
        absent, absent_wrong: Prompts that name nothing, and those of them with a detection.
        prompts, presence_right: Prompts, and those whose presence was judged right.
    """

    found: int = 0
    missed: int = 0
    wrong: int = 0
    overlap: float = 0.0
    absent: int = 0
    absent_wrong: int = 0
    prompts: int = 0
    presence_right: int = 0

    def measures(self) -> dict[str, float]:
        """Recall, precision, mean IoU, false positives of absent prompts, presence accuracy."""
        return {
            "recall": self.found / max(self.found + self.missed, 1),
            "precision": self.found / max(self.found + self.wrong, 1),
            "mean_iou": self.overlap / max(self.found, 1),
            "absent_false_positives": self.absent_wrong / max(self.absent, 1),
            "presence": self.presence_right / max(self.prompts, 1),
        }


@torch.no_grad()
def monitor(model: Any, batches: Sequence[Batch]) -> dict[str, float]:
    """Measure the network in evaluation mode on these batches."""
    tally = Tally()
    model.eval()
    for batch in batches:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = forward(model, batch)
        presence = outputs.presence[-1].sigmoid()
        kept = (outputs.scores[-1].sigmoid() * presence[:, None]) > _SCORE
        prompt, query = torch.nonzero(kept, as_tuple=True)
        masks = torch.zeros(0, batch.masks.shape[-1] ** 2, dtype=torch.bool)
        if len(prompt):
            last = torch.full_like(prompt, len(outputs.boxes) - 1)
            masks = mask_logits(model, outputs, Matches(last, prompt, query, query)) > 0
        for k in range(len(kept)):
            _count(tally, batch, k, masks[prompt == k], bool(presence[k] > _SCORE))
    return tally.measures()


def _count(tally: Tally, batch: Batch, prompt: int, masks: torch.Tensor, present: bool) -> None:
    wanted = batch.wanted[prompt]
    tally.prompts += 1
    tally.presence_right += present == bool(wanted.any())
    if not wanted.any():
        tally.absent += 1
        tally.absent_wrong += len(masks) > 0
        return
    truth = batch.masks[batch.image_of[prompt], wanted].flatten(1) > 0.5
    shared = (masks[:, None] & truth[None]).sum(-1)
    iou = shared / (masks[:, None] | truth[None]).sum(-1).clamp(min=1)
    good = iou.max(0).values[iou.max(0).values >= _IOU] if len(masks) else iou.new_zeros(0)
    tally.found += len(good)
    tally.missed += len(truth) - len(good)
    tally.wrong += len(masks) - len(good)
    tally.overlap += float(good.sum())
