"""From raw decoding to results: which queries are kept, their boxes in pixels, their masks at camera resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from samlite_ros.errors import InferenceError
from samlite_ros.segmenter.decoder import RawDecoding
from samlite_ros.segmenter.upsample import upsample_mask
from samlite_ros.types import DecodeOptions, Mask, PhraseResult

_LARGEST_LOGIT = 1e4


class Selection(NamedTuple):
    """Results of one batch, and how many queries were dropped because their numbers were not finite."""

    results: list[PhraseResult]
    dropped: int


def select_instances(
    raw: RawDecoding, phrases: Sequence[str], options: Sequence[DecodeOptions], size: tuple[int, int]
) -> Selection:
    """Keep the best queries of each phrase; only their masks leave the device and are up-sampled.

    Args:
        raw: Decoding of N phrases.
        phrases, options: At least N; the first N are read.
        size: (H, W) of the camera image [px].

    Raises:
        InferenceError: Not one number of a phrase is finite.
    """
    scores = raw.scores.cpu().numpy()  # (N, Q)
    presence = raw.presence.cpu().numpy()  # (N,)
    boxes = raw.boxes_xyxy.cpu().numpy()  # (N, Q, 4)
    finite = np.isfinite(scores) & np.isfinite(boxes).all(2)
    results = []
    for row, phrase in enumerate(phrases[: len(scores)]):
        if not finite[row].any():
            raise InferenceError(
                f"the network's output for {phrase!r} is not a number: if dtype is float16, try bfloat16 or float32"
            )
        keep = _best(np.where(finite[row], scores[row], -1.0), options[row])
        masks = _masks(raw.mask_logits[row], keep, size)
        box = _to_pixels(boxes[row, keep], size)
        results.append(PhraseResult(phrase, float(presence[row]), scores[row, keep], box, masks))
    return Selection(results, int((~finite).sum()))


def _best(scores: NDArray[np.float32], options: DecodeOptions) -> NDArray[np.int64]:
    """Indices of what passes, best first."""
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] >= max(options.score_threshold, 0.0)][: options.max_instances]


def _masks(logits: torch.Tensor, keep: NDArray[np.int64], size: tuple[int, int]) -> tuple[Mask, ...]:
    chosen = logits[torch.from_numpy(keep).to(logits.device)].float().cpu()  # (K, h, w)
    bounded = chosen.nan_to_num_(-_LARGEST_LOGIT, _LARGEST_LOGIT, -_LARGEST_LOGIT)
    return tuple(upsample_mask(mask, size) for mask in bounded)


def _to_pixels(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(K, 4) of 0 .. 1 to pixels, clipped to the image."""
    scale = np.array([size[1], size[0], size[1], size[0]], np.float32)
    return np.clip(boxes, 0, 1) * scale
