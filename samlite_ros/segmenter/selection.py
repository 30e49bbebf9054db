"""From proposals to results: which queries are kept, their boxes in pixels, their masks at camera resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import InferenceError
from samlite_ros.segmenter.backend import Backend, Callback, ImageFeatures, PromptFeatures
from samlite_ros.segmenter.upsample import Resample, upsample_mask
from samlite_ros.types import DecodeOptions, Mask, Prompt, PromptResult

_LARGEST_LOGIT = 1e4


class Wanted(NamedTuple):
    """What to find in one image.

    Args:
        prompts, options: N each.
        size: (H, W) of the camera image [px].
    """

    prompts: Sequence[Prompt]
    options: Sequence[DecodeOptions]
    size: tuple[int, int]


class Selection(NamedTuple):
    """Results of one batch, and how many queries were dropped because their numbers were not finite."""

    results: list[PromptResult]
    dropped: int


def select_instances(
    backend: Backend,
    image: ImageFeatures,
    prompts: Sequence[PromptFeatures],
    wanted: Wanted,
    on_step: Callback | None = None,
) -> Selection:
    """Decode N prompts and keep the best queries of each; only their masks are drawn and leave the device.

    Args:
        backend: What decodes.
        image: Features of the image.
        prompts: Features of the prompts.
        wanted: The prompts.
        on_step: Called between two parts of the passes.

    Raises:
        InferenceError: Not one number of a prompt is finite.
    """
    proposals = backend.propose(image, prompts, on_step)
    scores, boxes = proposals.scores, proposals.boxes_xyxy
    finite = np.isfinite(scores) & np.isfinite(boxes).all(2)
    _refuse_nonsense(finite, wanted.prompts)
    usable = np.where(finite, scores, -1.0)
    kept = [_best(row, options) for row, options in zip(usable, wanted.options, strict=True)]
    logits = backend.draw_masks(image, proposals, kept, on_step)
    results = [
        PromptResult(
            prompt,
            float(proposals.presence[row]),
            scores[row, kept[row]],
            _to_pixels(boxes[row, kept[row]], wanted.size),
            _up_sample(logits[row], wanted.size, backend.resample),
        )
        for row, prompt in enumerate(wanted.prompts)
    ]
    return Selection(results, int((~finite).sum()))


def _refuse_nonsense(finite: NDArray[np.bool_], prompts: Sequence[Prompt]) -> None:
    """An answer of "not found" would be a lie where the network has answered nothing."""
    for prompt, row in zip(prompts, finite, strict=True):
        if not row.any():
            raise InferenceError(
                f"the network's output for {prompt.display!r} is not a number: "
                "if dtype is float16, try bfloat16 or float32"
            )


def _best(scores: NDArray[Any], options: DecodeOptions) -> NDArray[np.int64]:
    """Indices of what passes, best first."""
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] >= max(options.score_threshold, 0.0)][: options.max_instances]


def _up_sample(logits: NDArray[np.float32], size: tuple[int, int], resample: Resample) -> tuple[Mask, ...]:
    """(K, h, w) to K masks at camera resolution; what is not a number is outside."""
    bounded = np.fmin(np.fmax(logits, np.float32(-_LARGEST_LOGIT)), np.float32(_LARGEST_LOGIT))
    return tuple(upsample_mask(mask, size, resample) for mask in bounded)


def _to_pixels(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(K, 4) of 0 .. 1 to pixels, clipped to the image."""
    scale = np.array([size[1], size[0], size[1], size[0]], np.float32)
    return np.clip(boxes, 0, 1) * scale
