"""From proposals to results: which queries are kept, their boxes in pixels, their masks at camera resolution."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import InferenceError
from samlite_ros.segmenter.backend import Backend, Callback, ImageFeatures, PromptFeatures, Proposals
from samlite_ros.segmenter.upsample import LARGEST_LOGIT, LEAST_PROBABILITY, Resample, upsample_mask
from samlite_ros.types import DecodeOptions, Mask, Prompt, PromptResult

_NONE = np.zeros(0, np.int64)
_LEAST_CUT = math.ceil(255 * LEAST_PROBABILITY) + 1
"""Masks that are cut below it would differ from those of probabilities, which may lack what is below."""


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
    watch = Stopwatch(on_step)
    proposals = backend.propose(image, prompts, watch.on_step)
    scores, boxes = proposals.scores, proposals.boxes_xyxy
    finite = np.isfinite(scores) & np.isfinite(boxes).all(2)
    dropped = finite.size - int(np.count_nonzero(finite))
    if dropped:
        _refuse_nonsense(finite, wanted.prompts)
    kept = _best(np.where(finite, scores, -1.0) if dropped else scores, wanted.options)
    drawn = [row if o.masks else row[:0] for row, o in zip(kept, wanted.options, strict=True)]
    shared_s = watch.lap_s() / len(kept)
    masks_of = _draw(backend, image, proposals, drawn, wanted, watch.on_step)
    mask_s = watch.lap_s() / max(sum(map(len, drawn)), 1)
    boxes = _to_pixels(boxes, wanted.size)
    results = []
    for row, prompt in enumerate(wanted.prompts):
        masks = masks_of(row)
        results.append(
            PromptResult(
                prompt,
                float(proposals.presence[row]),
                scores[row, kept[row]],
                boxes[row, kept[row]],
                masks,
                shared_s + mask_s * len(masks) + watch.lap_s(),
            )
        )
    return Selection(results, dropped)


class Stopwatch:
    """Tells what decoding takes, without what is done between its parts.

    Args:
        between: What is done there; None = nothing.
    """

    def __init__(self, between: Callback | None) -> None:
        self._between = between
        self._began_s = time.perf_counter()

    @property
    def on_step(self) -> Callback | None:
        """To be called between two parts; None = nothing is done there."""
        return None if self._between is None else self._step

    def _step(self) -> None:
        left_s = time.perf_counter()
        if self._between is not None:
            self._between()
        self._began_s += time.perf_counter() - left_s

    def lap_s(self) -> float:
        """Time since the last lap [s]."""
        began_s, self._began_s = self._began_s, time.perf_counter()
        return self._began_s - began_s


def _refuse_nonsense(finite: NDArray[np.bool_], prompts: Sequence[Prompt]) -> None:
    """An answer of "not found" would be a lie where the network has answered nothing."""
    for prompt, row in zip(prompts, finite, strict=True):
        if not row.any():
            raise InferenceError(
                f"the network's output for {prompt.display!r} is not a number: "
                "if dtype is float16, try bfloat16 or float32"
            )


def _best(scores: NDArray[Any], options: Sequence[DecodeOptions]) -> list[NDArray[np.int64]]:
    """Of each of N rows the indices of what passes, best first."""
    least = np.array([[max(o.score_threshold, 0.0)] for o in options], scores.dtype)
    counts = np.count_nonzero(scores >= least, axis=1).tolist()
    if not any(counts):
        return [_NONE] * len(counts)
    order = np.argsort(-scores, axis=1, kind="stable")
    return [order[row, : min(count, options[row].max_instances)] for row, count in enumerate(counts)]


def _draw(
    backend: Backend,
    image: ImageFeatures,
    proposals: Proposals,
    drawn: Sequence[NDArray[np.int64]],
    wanted: Wanted,
    on_step: Callback | None,
) -> Callable[[int], tuple[Mask, ...]]:
    """Draw masks; what is returned gives those of a prompt, by its number."""
    levels = [options.cut_level for options in wanted.options]
    cut = backend.cut_masks
    if cut is not None and all(level >= _LEAST_CUT for level, row in zip(levels, drawn, strict=True) if len(row)):
        return cut(image, proposals, drawn, levels, wanted.size, on_step).__getitem__
    logits = backend.draw_masks(image, proposals, drawn, on_step)
    return lambda row: _up_sample(logits[row], wanted.size, backend.resample) if len(logits[row]) else ()


def _up_sample(logits: NDArray[np.float32], size: tuple[int, int], resample: Resample) -> tuple[Mask, ...]:
    """(K, h, w) to K masks at camera resolution; what is not a number is outside."""
    bounded = np.fmin(np.fmax(logits, np.float32(-LARGEST_LOGIT)), np.float32(LARGEST_LOGIT))
    return tuple(upsample_mask(mask, size, resample) for mask in bounded)


def _to_pixels(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(N, Q, 4) of 0 .. 1 to pixels, clipped to the image."""
    scale = np.array([size[1], size[0], size[1], size[0]], np.float32)
    return np.clip(boxes, 0, 1) * scale
