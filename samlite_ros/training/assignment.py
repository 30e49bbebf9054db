"""Which query answers for which object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from samlite_ros.training.forward import Outputs


@dataclass(frozen=True, eq=False)
class Matches:
    """M pairs of a query and an object; int64 (M,) each.

    Args:
        layer, prompt, query: Index into `Outputs`.
        target: Index of the object in the prompt's image.
    """

    layer: torch.Tensor
    prompt: torch.Tensor
    query: torch.Tensor
    target: torch.Tensor

    def __len__(self) -> int:
        return len(self.layer)


def match(outputs: Outputs, boxes: torch.Tensor, wanted: torch.Tensor, copies: int) -> tuple[Matches, Matches]:
    """Assign queries to objects at least cost, in every layer.

    Args:
        outputs: Of the network.
        boxes: float32 (K, T, 4): x0, y0, x1, y1 of the objects in each prompt's image.
        wanted: bool (K, T): those that the prompt names.
        copies: Queries per object in the second result, as far as there are queries.

    Returns:
        One query per object (for the scores), and `copies` per object (for boxes and masks).
    """
    cost = _cost(outputs, boxes).numpy()
    layers, prompts, queries, _ = cost.shape
    single: list[tuple[int, int, int, int]] = []
    several: list[tuple[int, int, int, int]] = []
    for prompt in range(prompts):
        targets = np.flatnonzero(wanted[prompt].numpy())
        if not len(targets):
            continue
        repeats = min(copies, queries // len(targets))
        for layer in range(layers):
            table = cost[layer, prompt][:, targets]
            single += [(layer, prompt, q, targets[t]) for q, t in _assign(table)]
            several += [(layer, prompt, q, targets[t % len(targets)]) for q, t in _assign(np.tile(table, (1, repeats)))]
    return _to_matches(single), _to_matches(several if copies > 1 else single)


def _assign(table: np.ndarray) -> list[tuple[int, int]]:
    rows, columns = linear_sum_assignment(table)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _to_matches(pairs: list[tuple[int, int, int, int]]) -> Matches:
    columns = torch.tensor(np.array(pairs, np.int64).reshape(-1, 4)).T
    return Matches(*columns)


@torch.no_grad()
def _cost(outputs: Outputs, boxes: torch.Tensor) -> torch.Tensor:
    """float32 (L, K, Q, T): cost of answering for an object."""
    p = outputs.scores.sigmoid()
    score = 0.25 * (1 - p) ** 2 * -torch.log(p + 1e-6) - 0.75 * p**2 * -torch.log(1 - p + 1e-6)
    distance = (outputs.boxes[:, :, :, None] - to_cxcywh(boxes)[None, :, None]).abs().sum(-1)
    overlap = generalised_iou(to_xyxy(outputs.boxes)[:, :, :, None], boxes[None, :, None])
    return 2 * score[..., None] + 5 * distance - 2 * overlap


def to_xyxy(boxes: torch.Tensor) -> torch.Tensor:
    """(..., 4): centre and size to corners."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], -1)


def to_cxcywh(boxes: torch.Tensor) -> torch.Tensor:
    """(..., 4): corners to centre and size."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def generalised_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(...): generalised intersection over union of boxes (..., 4) given by corners, -1 to 1.

    Source: Rezatofighi et al., Generalized Intersection over Union, CVPR 2019.
    """
    shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    return shared / (union + 1e-7) - (hull - union) / (hull + 1e-7)
