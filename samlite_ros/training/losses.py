"""The parts of the training loss."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from samlite_ros.scenes.vocabulary import COLOURS, SHAPES
from samlite_ros.training.assignment import Matches, generalised_iou, match, to_cxcywh, to_xyxy
from samlite_ros.training.batches import Batch
from samlite_ros.training.forward import Outputs, TokenHeads
from samlite_ros.training.recipe import LossWeights

_FOCAL_ALPHA = 0.4
"""Weight of found objects against the rest; at the usual 0.25 no score passes 0.5 for a long time."""
_BACKGROUND_WEIGHT = 0.15
_COVERED = 0.35
_EMPTY = 0.1

Losses = dict[str, torch.Tensor]


def losses(
    model: Any, heads: TokenHeads, outputs: Outputs, batch: Batch, weights: LossWeights, box_factor: float, copies: int
) -> Losses:
    """All weighted parts of the loss; their sum is minimised.

    Args:
        model: The network, for its mask embedder.
        heads: The token heads.
        outputs: Of the network for the batch.
        batch: The batch.
        weights: Factors.
        box_factor: Factor on box losses.
        copies: Queries per object in box and mask losses.
    """
    boxes = batch.boxes[batch.image_of]
    single, several = match(outputs, boxes, batch.wanted, copies)
    parts = _score_losses(outputs, batch, single)
    parts |= _semantic_losses(outputs, batch)
    parts |= _token_losses(heads, outputs, batch)
    if len(several):
        parts |= _box_losses(outputs, boxes, several)
        parts |= _mask_losses(model, outputs, batch, several)
    factors = _factors(weights, box_factor)
    return {name: value * factors[name] for name, value in parts.items()}


def _factors(weights: LossWeights, box_factor: float) -> dict[str, float]:
    return {
        "score": weights.score,
        "presence": weights.presence,
        "box": weights.box * box_factor,
        "overlap": weights.overlap * box_factor,
        "mask": weights.mask,
        "dice": weights.dice,
        "semantic": weights.semantic,
        "semantic_dice": weights.semantic_dice,
        "token_shape": weights.token_shape,
        "token_colour": weights.token_colour,
        "token_box": weights.token_box * box_factor,
        "text_box": weights.token_box * box_factor,
        "text_overlap": weights.overlap,
    }


def _score_losses(outputs: Outputs, batch: Batch, single: Matches) -> Losses:
    """Focal loss of the scores; absent prompts count half. Cross-entropy of the presence, summed over the layers."""
    target = torch.zeros_like(outputs.scores)
    target[single.layer, single.prompt, single.query] = 1.0
    present = batch.wanted.any(1).float()
    factor = (0.5 + 0.5 * present)[None, :, None]
    count = max(int(batch.wanted.sum()), 1)
    presence = F.binary_cross_entropy_with_logits(outputs.presence, present[None].expand_as(outputs.presence))
    return {
        "score": (_focal(outputs.scores, target) * factor).sum() / count,
        "presence": presence * len(outputs.presence),
    }


def _focal(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017."""
    p = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    alpha = _FOCAL_ALPHA * target + (1 - _FOCAL_ALPHA) * (1 - target)
    return alpha * entropy * (p * (1 - target) + (1 - p) * target) ** 2


def _dice(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(N,): 1 - Dice coefficient of (N, pixels)."""
    p = logits.sigmoid()
    return 1 - (2 * (p * target).sum(1) + 1) / (p.sum(1) + target.sum(1) + 1)


def _semantic_losses(outputs: Outputs, batch: Batch) -> Losses:
    """The mask of everything that the prompt names."""
    target = torch.einsum("kt,kthw->khw", batch.wanted.float(), batch.masks[batch.image_of]).clamp(max=1)
    present = batch.wanted.any(1).float()
    dice = (_dice(outputs.semantic.flatten(1), target.flatten(1)) * present).sum() / present.sum().clamp(min=1)
    return {"semantic": F.binary_cross_entropy_with_logits(outputs.semantic, target), "semantic_dice": dice}


def _box_losses(outputs: Outputs, boxes: torch.Tensor, several: Matches) -> Losses:
    layers, count = len(outputs.boxes), len(several)
    predicted = outputs.boxes[several.layer, several.prompt, several.query]
    target = boxes[several.prompt, several.target]
    per_layer = layers / count
    return {
        "box": (predicted - to_cxcywh(target)).abs().sum() * per_layer,
        "overlap": (1 - generalised_iou(to_xyxy(predicted), target)).sum() * per_layer,
    }


def _mask_losses(model: Any, outputs: Outputs, batch: Batch, several: Matches) -> Losses:
    logits = mask_logits(model, outputs, several)
    target = batch.masks[batch.image_of[several.prompt], several.target].flatten(1)
    per_layer = len(outputs.boxes) / len(several)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)
    return {"mask": entropy.sum() * per_layer, "dice": _dice(logits, target).sum() * per_layer}


def mask_logits(model: Any, outputs: Outputs, several: Matches) -> torch.Tensor:
    """(M, pixels): mask logits of the matched queries only, without a copy of the pixels for each of them."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        chosen = model.mask_decoder.mask_embedder(outputs.queries[several.layer, several.prompt, several.query])
    slot = _slots(several.prompt)
    per_prompt = chosen.new_zeros(len(outputs.semantic), int(slot.max()) + 1, chosen.shape[-1])
    per_prompt = per_prompt.index_put((several.prompt, slot), chosen)
    pixels = outputs.pixel_embedding.flatten(2)
    return torch.bmm(per_prompt.to(pixels.dtype), pixels)[several.prompt, slot].float()


def _slots(prompt: torch.Tensor) -> torch.Tensor:
    """int64 (M,): how many earlier matches have the same prompt."""
    same = prompt[:, None] == prompt[None]
    return same.tril(-1).sum(1)


def _token_losses(heads: TokenHeads, outputs: Outputs, batch: Batch) -> Losses:
    """What each image token shows and where it ends, of the image encoder and after the text was seen."""
    side = round(outputs.image_tokens.shape[1] ** 0.5)
    cover = F.adaptive_avg_pool2d(batch.masks, side).flatten(2)  # (B, T, N)
    most, owner = cover.max(1)
    shown, empty = most >= _COVERED, cover.sum(1) < _EMPTY
    labels = batch.labels.gather(1, owner[..., None].expand(-1, -1, 2))
    boxes = batch.boxes.gather(1, owner[..., None].expand(-1, -1, 4))
    tokens = outputs.image_tokens.float()
    parts = {
        "token_colour": _token_entropy(heads.colour(tokens), labels[..., 0], shown, empty, len(COLOURS)),
        "token_shape": _token_entropy(heads.shape(tokens), labels[..., 1], shown, empty, len(SHAPES)),
    }
    if shown.any():
        predicted = heads.box(tokens[shown]).sigmoid()
        parts["token_box"] = (predicted - to_cxcywh(boxes[shown])).abs().sum(-1).mean()
    return parts | _text_token_losses(heads, outputs, batch, boxes, shown, owner)


def _text_token_losses(
    heads: TokenHeads, outputs: Outputs, batch: Batch, boxes: torch.Tensor, shown: torch.Tensor, owner: torch.Tensor
) -> Losses:
    image = batch.image_of
    asked = shown[image] & batch.wanted.gather(1, owner[image])
    if not asked.any():
        return {}
    predicted, target = heads.text_box(outputs.text_tokens.float()[asked]).sigmoid(), boxes[image][asked]
    return {
        "text_box": (predicted - to_cxcywh(target)).abs().sum(-1).mean(),
        "text_overlap": (1 - generalised_iou(to_xyxy(predicted), target)).mean(),
    }


def _token_entropy(
    logits: torch.Tensor, label: torch.Tensor, shown: torch.Tensor, empty: torch.Tensor, classes: int
) -> torch.Tensor:
    """Cross-entropy over the tokens that clearly show one object, or none (class `classes`)."""
    ignored = -100
    target = torch.where(shown, label, torch.where(empty, classes, ignored))
    weight = torch.ones(classes + 1)
    weight[classes] = _BACKGROUND_WEIGHT
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), weight=weight, ignore_index=ignored)
