"""How wrappers run the network today, written as their authors would, over the same weights.

Two ways, from the ROS wrappers of text-prompted segmenters that were read: most run the whole model for every phrase
of every frame; the better ones embed the image once per frame. All of them encode the text again each time and bring
every kept mask to the camera's full size. Nothing is slowed down: the model, its attention, the device, the dtype and
the resize are those of our own side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from samlite_ros.segmenter.backend import CONTEXT_TOKENS
from samlite_ros.segmenter.pytorch.checkpoint import Checkpoint
from samlite_ros.segmenter.pytorch.preprocess import to_pixel_values
from samlite_ros.types import Frame


@dataclass(frozen=True, eq=False)
class PeerResult:
    """What a wrapper has for one phrase.

    Args:
        phrase: The phrase.
        scores: float32 (K,).
        boxes_xyxy: float32 (K, 4) [px].
        masks: bool (K, H, W), at the camera's size.
    """

    phrase: str
    scores: NDArray[np.float32]
    boxes_xyxy: NDArray[np.float32]
    masks: NDArray[np.bool_]


class Peers:
    """Wrappers' ways of running one network.

    Args:
        checkpoint: The network.
        kept: Instances kept per phrase: the best K, whatever their scores, so that both sides of a comparison have
            the same number of masks.
    """

    def __init__(self, checkpoint: Checkpoint, kept: int) -> None:
        self._checkpoint = checkpoint
        self._kept = kept

    @torch.inference_mode()
    def whole_model(self, frame: Frame, phrases: Sequence[str]) -> list[PeerResult]:
        """The usual wrapper: image and text through the whole model, for each phrase."""
        results = []
        for phrase in phrases:
            output = self._checkpoint.model(pixel_values=self.pixels(frame), **self.tokens(phrase))
            results.append(self._post_process(phrase, output, frame.size))
        return results

    @torch.inference_mode()
    def shared_image(self, frame: Frame, phrases: Sequence[str]) -> list[PeerResult]:
        """The better wrapper: the image once, then text and decoder for each phrase."""
        vision = self._checkpoint.model.get_vision_features(self.pixels(frame))
        results = []
        for phrase in phrases:
            output = self._checkpoint.model(vision_embeds=vision, **self.tokens(phrase))
            results.append(self._post_process(phrase, output, frame.size))
        return results

    def pixels(self, frame: Frame) -> torch.Tensor:
        """The network's input, (1, 3, size, size)."""
        network = self._checkpoint
        return to_pixel_values(frame.image, network.image_size, network.device, network.dtype)

    def tokens(self, phrase: str) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask` of one phrase, (1, 32) each."""
        row = self._checkpoint.tokenizer(
            phrase, padding="max_length", max_length=CONTEXT_TOKENS, truncation=True, return_tensors="pt"
        )
        device = self._checkpoint.device
        return {"input_ids": row.input_ids.to(device), "attention_mask": row.attention_mask.to(device)}

    def _post_process(self, phrase: str, output: Any, size: tuple[int, int]) -> PeerResult:
        """As the reference's `post_process_instance_segmentation`, with the best K in place of a threshold."""
        scores = (output.pred_logits.sigmoid() * output.presence_logits.sigmoid())[0]  # (Q,)
        chosen = scores.topk(self._kept).indices
        masks = output.pred_masks.sigmoid()[0, chosen]  # (K, h, w)
        masks = F.interpolate(masks[None], size=size, mode="bilinear", align_corners=False)[0]
        scale = torch.tensor([size[1], size[0], size[1], size[0]], device=scores.device)
        return PeerResult(
            phrase,
            scores[chosen].float().cpu().numpy(),
            (output.pred_boxes[0, chosen] * scale).float().cpu().numpy(),
            (masks > 0.5).cpu().numpy(),
        )
