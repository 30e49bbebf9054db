"""Decoding: one image's features and some prompts' features to scores, boxes and low-resolution masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """What decoding needs of the vision encoder's output, for one image.

    Args:
        maps: Feature maps, finest first, each (1, C, h, w).
        position_encoding: (1, C, h, w) of the coarsest map.
    """

    maps: tuple[torch.Tensor, ...]
    position_encoding: torch.Tensor


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Features of N prompts.

    Args:
        features: (N, 32, C), projected to the decoder's width.
        mask: int64 (N, 32), 1 at tokens, 0 at padding.
    """

    features: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True, eq=False)
class RawDecoding:
    """What the network says of N prompts, all Q queries, nothing dropped.

    Args:
        scores: float32 (N, Q), sigmoid(class) * sigmoid(presence).
        presence: float32 (N,), probability that the prompt is there.
        boxes_xyxy: float32 (N, Q, 4), 0 to 1 of the image's width and height.
        mask_logits: (N, Q, h, w), in the model's dtype.
    """

    scores: torch.Tensor
    presence: torch.Tensor
    boxes_xyxy: torch.Tensor
    mask_logits: torch.Tensor


def image_features(vision_output: Any) -> ImageFeatures:
    """Keep what `decode` reads: the model ignores the last map, and reads one position encoding."""
    return ImageFeatures(tuple(vision_output.fpn_hidden_states[:-1]), vision_output.fpn_position_encoding[-2])


def decode(model: Any, image: ImageFeatures, text: TextFeatures) -> RawDecoding:
    """Decode N prompts over one image in one pass; the image's features are expanded, not copied.

    Args:
        model: A Sam3LiteTextModel.
        image: Features of one image.
        text: Features of N prompts.
    """
    count = len(text.features)
    output = model(
        vision_embeds=_SharedVision(image, count),
        text_embeds=_as_text_embeds(text.features),
        attention_mask=text.mask,  # without it the padding takes part, and the logits silently change
    )
    presence = output.presence_logits.float().sigmoid()  # (N, 1)
    return RawDecoding(
        scores=output.pred_logits.float().sigmoid() * presence,
        presence=presence[:, 0],
        boxes_xyxy=output.pred_boxes.float(),
        mask_logits=output.pred_masks,
    )


def join(texts: Sequence[TextFeatures]) -> TextFeatures:
    """The features of several prompts as those of one batch."""
    return TextFeatures(torch.cat([t.features for t in texts]), torch.cat([t.mask for t in texts]))


class _SharedVision:
    """Stands for the vision encoder's output of N equal images."""

    hidden_states = attentions = None

    def __init__(self, image: ImageFeatures, count: int) -> None:
        maps = tuple(m.expand(count, -1, -1, -1) for m in image.maps)
        position = image.position_encoding.expand(count, -1, -1, -1)
        self.fpn_hidden_states = (*maps, maps[-1])  # the model drops the last one
        self.fpn_position_encoding = (position, position)


def _as_text_embeds(features: torch.Tensor) -> torch.Tensor:
    """Text features in a form that every transformers release takes.

    5.6 wants the tensor, 5.20 and later the text encoder's output, of which they read `pooler_output`: a tensor with
    that attribute is both.
    """
    embeds = features.view_as(features)
    embeds.pooler_output = features  # type: ignore[attr-defined]
    return embeds
